//go:build unix

package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// storyLines is how long the answer of newModel is: several screens.
const storyLines = 120

// newModel is a model that has one answer to everything, in the spelling of the API that is asked.
func newModel(t *testing.T) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.Method != http.MethodPost {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		say := func(kind, format string, args ...any) {
			fmt.Fprintf(w, "event: %s\ndata: {\"type\":%q%s}\n\n", kind, kind, fmt.Sprintf(format, args...))
			w.(http.Flusher).Flush()
		}
		w.Header().Set("Content-Type", "text/event-stream")
		switch {
		case strings.HasSuffix(r.URL.Path, "/messages"):
			anthropicStory(say)
		case strings.HasSuffix(r.URL.Path, "/responses"):
			openaiStory(say)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func anthropicStory(say func(kind, format string, args ...any)) {
	say("message_start", `,"message":{"id":"msg_1","type":"message","role":"assistant","model":"none","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1}}`)
	say("content_block_start", `,"index":0,"content_block":{"type":"text","text":""}`)
	for i := range storyLines {
		say("content_block_delta", `,"index":0,"delta":{"type":"text_delta","text":"line %d of 漢字\n\n"}`, i+1)
	}
	say("content_block_stop", `,"index":0`)
	say("message_delta", `,"delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":5}`)
	say("message_stop", "")
}

func openaiStory(say func(kind, format string, args ...any)) {
	var story strings.Builder
	for i := range storyLines {
		fmt.Fprintf(&story, `line %d of 漢字\n\n`, i+1)
	}
	say("response.created", `,"response":{"id":"r1"}`)
	say("response.output_item.done", `,"item":{"type":"message","role":"assistant","id":"m1","content":[{"type":"output_text","text":"%s"}]}`, story.String())
	say("response.completed", `,"response":{"id":"r1","usage":{"input_tokens":1,"input_tokens_details":null,"output_tokens":1,"output_tokens_details":null,"total_tokens":2}}`)
}

// The agents themselves, where they are installed, with a model that is none, and a home that has
// been through their first questions.
func TestAgents(t *testing.T) {
	tests := []struct {
		program, env, file, text string
		ready                    []string // in its first screen
	}{
		{
			"claude", "ANTHROPIC_API_KEY=none-0123456789abcdefghij ANTHROPIC_BASE_URL=MODEL CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1 DISABLE_AUTOUPDATER=1", "home/.claude.json",
			`{"hasCompletedOnboarding":true,"theme":"dark","projects":{"DIR":{"hasTrustDialogAccepted":true,"hasCompletedProjectOnboarding":true}},"customApiKeyResponses":{"approved":["0123456789abcdefghij"],"rejected":[]}}`,
			[]string{"Claude Code", "? for shortcuts"},
		},
		{
			"codex", "OPENAI_API_KEY=none", "home/.codex/config.toml", `model = "gpt-5"
model_provider = "local"
check_for_update_on_startup = false
[model_providers.local]
name = "local"
base_url = "MODEL/v1"
wire_api = "responses"
env_key = "OPENAI_API_KEY"
[projects."DIR"]
trust_level = "trusted"
`, []string{"OpenAI Codex"},
		},
		{
			"opencode", "ANTHROPIC_API_KEY=none OPENCODE_DISABLE_AUTOUPDATE=1", "home/.config/opencode/opencode.json",
			`{"autoupdate":false,"share":"disabled","model":"anthropic/none","small_model":"anthropic/none","provider":{"anthropic":{"options":{"baseURL":"MODEL/v1"},"models":{"none":{"name":"None"}}}}}`,
			[]string{"Ask anything", "None Anthropic"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.program, func(t *testing.T) {
			model := newModel(t)
			here := func(text string) string { return strings.ReplaceAll(text, "MODEL", model) }
			p := newInside(t, tt.program, "env HOME=$PWD/home IS_SANDBOX=1 "+here(tt.env)+" "+tt.program, tt.file, here(tt.text))
			p.until(append(tt.ready, "^] view")...)
			t.Cleanup(func() { // what an agent leaves running may still write there
				for end := time.Now().Add(20 * time.Second); os.RemoveAll(filepath.Join(p.dir, "home")) != nil && time.Now().Before(end); {
					time.Sleep(100 * time.Millisecond)
				}
			})
			p.keys("hello there")
			p.until("hello there", "^] view")
			p.resizes("hello there")
			last := fmt.Sprintf("line %d of 漢字", storyLines)
			p.sends(last)
			p.visit(last)
			p.resizes("") // each keeps another part of the story
			p.visit(" of 漢字")
			p.poll("it does not end", func(now string) bool {
				if lastRow(now) == "ready$" {
					return true
				}
				p.keys("C-c") // the first empties the line, another one or two end it
				time.Sleep(300 * time.Millisecond)
				return false
			})
			p.restored()
		})
	}
}

// sends presses enter until the answer is there: an agent that has just been resized, or takes keys
// that come fast for a paste, does not always take it.
func (p *inside) sends(answer string) {
	p.t.Helper()
	var again time.Time
	p.poll("no answer", func(now string) bool {
		if strings.Contains(now, answer) && strings.Contains(lastRow(now), "^] view") {
			return true
		}
		if time.Now().After(again) {
			p.keys("Enter")
			again = time.Now().Add(5 * time.Second)
		}
		return false
	})
}

// resizes waits for the text at each of the sizes, above our row.
func (p *inside) resizes(text string) {
	p.t.Helper()
	for _, size := range sizes {
		p.tmux("resize-window", "-x", strconv.Itoa(size[0]), "-y", strconv.Itoa(size[1]))
		p.poll("it is not there at its new size", func(now string) bool {
			return strings.Count(now, "\n") == size[1] && strings.Contains(now, text) && strings.Contains(lastRow(now), "^] view")
		})
	}
}

// visit opens the inspector over a child that draws when it likes, and closes it.
func (p *inside) visit(text string) {
	p.t.Helper()
	modes := func() string { return p.ask("#{alternate_on} #{mouse_any_flag} #{keypad_cursor_flag} #{keypad_flag}") }
	before := modes()
	p.keys("C-]", "v")
	p.until("q back", "services")
	p.keys("q")
	p.poll("the child's screen is not there again", func(now string) bool {
		return strings.Contains(now, text) && strings.Contains(lastRow(now), "^] view") && modes() == before
	})
}
