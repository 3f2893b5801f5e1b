package session

import (
	"bufio"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
)

// TestKilled: after kill -9 of the wrapper the kernel kills the child.
func TestKilled(t *testing.T) {
	argv, env := helper("group")
	c, output := startPipedLines(t, Options{Argv: argv, Env: env, Mode: Group})
	child, wrapper := awaitPid(t, output, "child "), awaitPid(t, output, "wrapper ")
	if err := syscall.Kill(wrapper, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the child's end", func() bool { return !alive(child) })
	if got := c.Wait(); got != 137 {
		t.Errorf("status %d, want 137", got)
	}
}

// connector connects to the address, says a byte, and waits for the end of its input.
const connector = `
import socket, sys
s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
s.sendall(b"x")
s.recv(1)
`

func TestOwner(t *testing.T) {
	need(t, "python3")
	for _, network := range []struct{ listen, dial string }{{"127.0.0.1:0", "127.0.0.1"}, {"127.0.0.1:0", "::ffff:127.0.0.1"}, {"[::1]:0", "::1"}} {
		l, err := net.Listen("tcp", network.listen)
		if err != nil {
			t.Logf("%s: %v", network.listen, err)
			continue
		}
		defer l.Close()
		_, port, _ := net.SplitHostPort(l.Addr().String())
		python := fmt.Sprintf("exec python3 -c '%s' %s %s", connector, network.dial, port)
		outside := startShell(t, "exec sleep 1000", nil)
		tests := []struct {
			name   string
			script string
			owner  func(*Child) *Owner
			want   bool
		}{
			{"the child itself", python, own, true},
			{"a grandchild", "(" + python + "); true", own, true},
			{"orphaned, in the child's group", "(" + python + ") & sleep 0.1; exec sleep 1000", own, true},
			{"orphaned, in a session of its own", "(setsid sh -c \"$PYTHON\" &) ; exec sleep 1000", own, false},
			{"the same, with the mark", "(setsid sh -c \"$PYTHON\" &) ; exec sleep 1000",
				func(c *Child) *Owner { o := own(c); o.Mark = "MARK=secret"; return o }, true},
			{"not in the tree", python, func(*Child) *Owner { return own(outside) }, false},
			{"a wrong mark", python, func(*Child) *Owner { o := own(outside); o.Mark = "MARK=secre"; return o }, false},
		}
		for _, tt := range tests {
			t.Run(network.dial+"/"+tt.name, func(t *testing.T) {
				c := startShell(t, tt.script, []string{"PYTHON=" + python, "MARK=secret"})
				conn, err := l.Accept()
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				if _, err := bufio.NewReader(conn).ReadByte(); err != nil {
					t.Fatal(err)
				}
				if strings.Contains(tt.script, "setsid") {
					eventually(t, "it has left the tree", func() bool { return len(descendants(c.Pid())) == 0 })
				}
				comm, ok := tt.owner(c).Owns(addrPort(conn.RemoteAddr()), addrPort(conn.LocalAddr()))
				if ok != tt.want || ok && !strings.HasPrefix(comm, "python") {
					t.Errorf("got %q, %v, want %v", comm, ok, tt.want)
				}
				// The right client, another server.
				other := netip.AddrPortFrom(addrPort(conn.LocalAddr()).Addr(), addrPort(conn.LocalAddr()).Port()+1)
				if _, ok := tt.owner(c).Owns(addrPort(conn.RemoteAddr()), other); ok {
					t.Error("a connection that does not exist was found")
				}
			})
		}
	}
}

func own(c *Child) *Owner { return NewOwner(c.Pid()) }

func addrPort(a net.Addr) netip.AddrPort { return a.(*net.TCPAddr).AddrPort() }

func startShell(t *testing.T, script string, env []string) *Child {
	t.Helper()
	c, err := Start(Options{Argv: []string{"sh", "-c", script}, Env: append(os.Environ(), env...), Stderr: os.Stderr, Mode: Group})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.End(0) })
	return c
}

func TestOwnerOfTheDead(t *testing.T) {
	l := listen(t)
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client, server := addrPort(conn.LocalAddr()), addrPort(conn.RemoteAddr())
	self := NewOwner(os.Getpid())
	if _, ok := self.Owns(client, server); !ok {
		t.Fatal("our own connection is not ours")
	}
	self.start++ // another process of the same pid
	if _, ok := self.Owns(client, server); ok {
		t.Error("a pid that is used again was taken for the child")
	}
}

func BenchmarkOwns(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	owner := NewOwner(os.Getpid())
	for b.Loop() {
		if _, ok := owner.Owns(addrPort(conn.LocalAddr()), addrPort(conn.RemoteAddr())); !ok {
			b.Fatal("not found")
		}
	}
}
