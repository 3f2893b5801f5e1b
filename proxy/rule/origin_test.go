package rule

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// origin is the address of a real server that answers each request with the path that it
// would serve, decoded: nginx with `return 200 $uri`, say. The ordinary run has none.
//
//	go test ./proxy/rule -run TestRealOrigin -origin 127.0.0.1:8446
var origin = flag.String("origin", "", "HOST:PORT of a server that echoes the path it would serve")

// What a real server makes of a path is among its readings, for a great many strange paths.
func TestRealOrigin(t *testing.T) {
	if *origin == "" {
		t.Skip("see -origin")
	}
	pieces := []string{"/", "/", "//", "a", "b", ".", "..", "%2e", "%2E%2e", "%2f", "%2F", "%5c", "%61", "%25", "%252e", "%20", "+", ";", ";x=1", "..;", "%3b", "%3f", "%23", "~", "@", ":", "&", "=", "!", "'", "(", ")", "*", ",", "$", "%e2%82%ac", "%7e", "A", "%41"}
	random := rand.New(rand.NewPCG(1, 2))
	c, err := net.Dial("tcp", *origin)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	answers, asked, refused, skipped := bufio.NewReader(c), 0, 0, 0
	for range 200_000 {
		path := "/"
		for range 1 + random.IntN(7) {
			path += pieces[random.IntN(len(pieces))]
		}
		readings, err := Readings(path)
		if err != nil {
			refused++
			continue
		}
		if asked++; asked%500 == 0 { // before the server's own limit for a connection
			_ = c.Close()
			if c, err = net.Dial("tcp", *origin); err != nil {
				t.Fatal(err)
			}
			answers = bufio.NewReader(c)
		}
		_, _ = fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", path)
		resp, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatal(path, err)
		}
		body, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != http.StatusOK {
			skipped++
			continue
		}
		served := strings.ReplaceAll(string(body), "%", "%25")
		if !slices.Contains(readings, served) {
			t.Errorf("%s is served as %q, and its readings are %q", path, served, readings)
		}
	}
	t.Logf("%d paths asked for, %d refused by the server, %d by us", asked, skipped, refused)
}
