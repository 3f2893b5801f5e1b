package tui

import (
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"agentvault/proxy/event"
)

// headLook is the chosen call's headers, which are asked for when they are shown: a
// session keeps those of a few hundred calls, a view those of one.
type headLook struct {
	call   uint64
	done   bool // asked for after the call had ended: there is nothing more to come
	asking bool
	again  bool // an answer that was still coming may have begun
	known  bool
	head   event.Head
}

// headMsg answers for a call.
type headMsg struct {
	call  uint64
	done  bool
	head  event.Head
	known bool
}

// servicesMsg is how the session stands with its services now.
type servicesMsg []event.Service

// look asks for the headers of the call that is shown, unless they are there or on their
// way.
func (m *inspector) look() tea.Cmd {
	if m.cfg.Head == nil || m.detail == 0 {
		return nil
	}
	c, ok := m.chosenCall()
	if !ok || c.Phase == event.Note || m.heads.asking || !m.heads.missing(c) {
		return nil
	}
	if m.heads.call != c.Call {
		m.heads = headLook{call: c.Call}
	}
	m.heads.asking, m.heads.again = true, false
	ask, call, done := m.cfg.Head, c.Call, c.Done
	return guarded(func() tea.Msg {
		head, known := ask(call)
		return headMsg{call, done, head, known}
	})
}

// missing says whether there may be more to know of c than is known.
func (h *headLook) missing(c *Call) bool {
	return h.call != c.Call || h.again || c.Done && !h.done
}

// looked takes the answer, which may have come too late.
func (m *inspector) looked(msg headMsg) {
	m.heads.asking = false
	if msg.call != m.heads.call { // another call was chosen meanwhile
		return
	}
	m.heads.done, m.heads.known, m.heads.head = msg.done, msg.known, msg.head
	for _, fields := range [][]event.Field{msg.head.Request, msg.head.Response} {
		for i := range fields {
			fields[i].Name, fields[i].Value = safe(fields[i].Name), safe(fields[i].Value)
		}
	}
	m.heads.head.Rule = safe(msg.head.Rule)
}

// headOf is what is known of a call's headers; it says no where nothing is.
func (m *inspector) headOf(c *Call) (event.Head, bool) {
	if m.heads.call != c.Call || c.Phase == event.Note {
		return event.Head{}, false
	}
	return m.heads.head, m.heads.known
}

// standing asks how the session stands with its services, once a second while that is
// shown.
func (m *inspector) standing() tea.Cmd {
	shown := m.tab == servicesTab || m.detail > 0
	if m.cfg.Services == nil || m.asking || m.ended || !shown || m.cfg.Now().Sub(m.asked) < time.Second {
		return nil
	}
	m.asking, m.asked = true, m.cfg.Now()
	ask := m.cfg.Services
	return guarded(func() tea.Msg { return servicesMsg(ask()) })
}
