package tui

import "agentvault/proxy/event"

// unseen says that agentvault could not look into a call: a connection that went around it, a
// tunnel, a client that refused its certificate or spoke something else, a name that was asked for
// where the machine's own resolver does not hear of it.
func unseen(c *Call) bool {
	return c.Verdict == event.Bypassed || c.Verdict == event.Tunnelled || c.closed() || c.namesAsked()
}

// closed says that a connection never became a call.
func (c *Call) closed() bool { return c.Method == "CONNECT" && c.Path == "" }

// namesAsked says that the call is DNS over HTTPS (RFC 8484, and the two that came before it).
func (c *Call) namesAsked() bool {
	return c.Path == "/dns-query" || c.Host == "dns.google" && c.Path == "/resolve" || c.Host == "cloudflare-dns.com"
}

// words is what stands in the place of a path where there is none, or where it needs a word.
func (c *Call) words() string {
	switch {
	case c.closed() && c.Verdict == event.Tunnelled:
		return "not intercepted"
	case c.closed() && shortly(c.Code) != "":
		return shortly(c.Code)
	case c.Path == "" && (c.Phase == event.Note || c.closed()):
		return c.Reason
	case c.namesAsked():
		return "DNS over HTTPS " + c.Path
	}
	return ""
}

// shortly is what ended a connection before it became a call, by the code of our answer; "" where
// only the reason says it.
func shortly(code string) string {
	switch code {
	case "certificate_rejected":
		return "certificate refused"
	case "handshake_failed":
		return "no TLS came about"
	case "not_tls":
		return "neither TLS nor HTTP"
	}
	return ""
}

// unseenHere and unseenElsewhere are what the tab of bypasses is about, and what it cannot show.
const (
	unseenHere      = "Here is what agentvault could not look into: tunnels, clients that refuse its certificate, names asked for over HTTPS."
	unseenElsewhere = "Not here is what never asked it: a program that ignores HTTPS_PROXY connects past it. Nobody watches that, and nothing contains the agent."
)

// unseenLines are both, in at most height lines.
func unseenLines(st *Styles, width, height int) []string {
	var lines []string
	for _, text := range []string{unseenHere, unseenElsewhere} {
		for _, line := range wrapWords(text, max(width-4, 8), 5) {
			lines = append(lines, "  "+st.in(quietly, line))
		}
	}
	return lines[:min(len(lines), max(height, 0))]
}
