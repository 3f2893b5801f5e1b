package tui

import (
	"context"
	"slices"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"agentvault/proxy/event"
	"agentvault/proxy/event/query"
)

// tab is one of the inspector's lists.
type tab int

const (
	callsTab tab = iota
	endpointsTab
	servicesTab
	bypassesTab
	tabCount
)

var tabNames = [tabCount]string{"calls", "endpoints", "services", "bypasses"}

// inspector is the view over the whole screen. Update folds and moves, View draws; what
// touches the world is a command.
type inspector struct {
	ctx    context.Context
	cfg    Config
	store  *Store
	styles Styles
	feed   *feed

	under         bool // it has the lower part of the screen, under a pane
	width, height int
	now           time.Time
	dropped       uint64
	ended         bool // no event will come any more

	tab       tab
	calls     list[*Call]
	bypasses  list[*Call]
	endpoints list[*Endpoint]
	services  list[*Service]
	sort      endpointSort
	order     callOrder

	filter  *query.Filter
	typed   string // the filter as it is written
	prior   string // what esc goes back to while typing
	wrong   string // what is wrong with what is typed
	typing  bool
	only    bool // uncovered only
	detail  int  // 0 none, 1 beside the list, 2 nearly all of the screen
	scroll  int  // of a detail that is 2
	over    int  // the lines of the detail that the last drawing had no room for
	help    bool
	notice  string // what the last key did; the next key clears it
	rows    []*Call
	paused  bool
	held    []*Call // the rows at the moment of the pause
	heldEnd uint64  // the row that came next then
	failed  error   // a panic in a command

	heads  headLook
	asked  time.Time // when the services were last asked for
	asking bool

	covering *covering // the human is asked whether to cover a call
	question *Question // a call waits for leave
	armed    bool      // the hotkey was pressed: the next key may be an answer
	// questioned is when a question was last seen.
	questioned time.Time
}

// tickMsg moves the clock in the head and the times of calls under way.
type tickMsg time.Time

// panicMsg is what a command that panicked leaves: it runs on a goroutine of Bubble
// Tea's, where nobody else would catch it.
type panicMsg struct{ err error }

// noticeMsg is shown in the last row until the next key.
type noticeMsg string

// newInspector folds the backlog; it reads and writes nothing.
func newInspector(ctx context.Context, cfg Config) *inspector {
	cfg = cfg.withDefaults()
	m := &inspector{
		ctx:    ctx,
		cfg:    cfg,
		store:  cfg.Store,
		styles: NewStyles(cfg.Env),
		feed:   &feed{events: cfg.Events, drops: cfg.Dropped},
		width:  80,
		height: 24,
		now:    cfg.Now(),
	}
	for _, e := range cfg.Backlog {
		m.store.Apply(e)
	}
	m.calls.follow, m.bypasses.follow = true, true
	m.refresh()
	return m
}

// Init waits for events and starts the clock.
func (m *inspector) Init() tea.Cmd { return tea.Batch(m.wait(), m.tick()) }

// Update takes one message.
func (m *inspector) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	var cmd tea.Cmd
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case batchMsg:
		cmd = m.take(msg)
	case tickMsg:
		m.now = time.Time(msg)
		if !m.heads.done && m.heads.head.Response == nil {
			m.heads.again = m.heads.call != 0
		}
		cmd = m.tick()
	case noticeMsg:
		m.notice = string(msg)
	case coveredMsg:
		m.covered(msg)
	case headMsg:
		m.looked(msg)
	case servicesMsg:
		m.asking = false
		m.store.Stand(msg)
	case panicMsg:
		m.failed = msg.err
		cmd = tea.Quit
	case tea.KeyMsg:
		cmd = m.key(msg)
	default:
		return m, nil
	}
	m.refresh()
	return m, together(cmd, m.look(), m.standing())
}

// together leaves out what is nothing, so that one command stays one.
func together(cmds ...tea.Cmd) tea.Cmd {
	cmds = slices.DeleteFunc(cmds, func(c tea.Cmd) bool { return c == nil })
	switch len(cmds) {
	case 0:
		return nil
	case 1:
		return cmds[0]
	}
	return tea.Batch(cmds...)
}

// take folds a batch and waits for the next.
func (m *inspector) take(b batchMsg) tea.Cmd {
	for _, e := range b.events {
		m.store.Apply(e)
	}
	m.dropped = b.dropped
	m.now = m.latest(b.events)
	if b.ended {
		m.ended = true
		if m.cfg.Answer != nil {
			m.notice = "the agent has ended; " + hotkey + " or q goes back to its screen"
		}
		return nil
	}
	return m.wait()
}

// latest keeps the clock from standing behind the events on the screen.
func (m *inspector) latest(events []event.Event) time.Time {
	now := m.now
	for _, e := range events {
		if e.Time.After(now) {
			now = e.Time.In(now.Location())
		}
	}
	return now
}

// wait is the command that brings the next batch.
func (m *inspector) wait() tea.Cmd {
	return guarded(func() tea.Msg { return m.feed.next(m.ctx) })
}

func (m *inspector) tick() tea.Cmd {
	return guarded(tea.Tick(time.Second, func(time.Time) tea.Msg { return tickMsg(m.cfg.Now()) }))
}

// refresh brings the lists and their windows up to date with the store and the screen.
func (m *inspector) refresh() {
	if m.question = nil; m.cfg.Question != nil {
		m.question = m.cfg.Question()
	}
	if m.question != nil {
		m.questioned = m.cfg.Now()
	}
	f := m.frame()
	m.calls.resize(f.list)
	m.bypasses.resize(f.list)
	m.endpoints.resize(f.list)
	m.services.resize(f.list)
	switch m.tab {
	case callsTab:
		m.calls.follow = m.calls.follow && m.order == byTime
		m.calls.set(m.order.sorted(m.matching(m.calls.rows[:0], nil)))
	case bypassesTab:
		m.bypasses.set(m.matching(m.bypasses.rows[:0], unseen))
	case endpointsTab:
		m.endpoints.set(m.sortedEndpoints())
	case servicesTab:
		m.services.set(m.store.Services())
	}
	m.measure(f.detail - 1)
}

// matching appends the rows that filter and only let through, and also where it is set.
func (m *inspector) matching(dst []*Call, also func(*Call) bool) []*Call {
	rows := m.held
	if !m.paused {
		m.rows = m.store.Rows(m.rows[:0])
		rows = m.rows
	}
	for _, c := range rows {
		if also != nil && !also(c) || m.only && !uncovered(&c.Event) || !matches(m.filter, c) {
			continue
		}
		dst = append(dst, c)
	}
	return dst
}

// sortedEndpoints is the table in the chosen order, filtered like the calls.
func (m *inspector) sortedEndpoints() []*Endpoint {
	var rows []*Endpoint
	for _, p := range m.store.Endpoints() {
		if m.only && !p.uncovered() || !matches(m.filter, p.asCall()) {
			continue
		}
		rows = append(rows, p)
	}
	slices.SortStableFunc(rows, m.sort.compare)
	return rows
}

// current is the list of the tab that is shown, to be moved in.
func (m *inspector) current() interface {
	move(int)
	page(int)
	home()
	end()
} {
	switch m.tab {
	case endpointsTab:
		return &m.endpoints
	case servicesTab:
		return &m.services
	case bypassesTab:
		return &m.bypasses
	}
	return &m.calls
}

// chosenCall is the call that detail and copy are about.
func (m *inspector) chosenCall() (*Call, bool) {
	switch m.tab {
	case callsTab:
		return m.calls.chosen()
	case bypassesTab:
		return m.bypasses.chosen()
	}
	return nil, false
}
