package session

import (
	"net/url"
	"os"
	"strings"
	"testing"
)

// docs/clients.md names every variable that the child is given.
func TestClientsPageHasEveryVariable(t *testing.T) {
	page, err := os.ReadFile("../../../docs/clients.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range settings(EnvConfig{Proxy: new(url.URL), Files: new(Files)}, nil) {
		if name := strings.ToUpper(v.name); !strings.Contains(string(page), "`"+name+"`") && !strings.Contains(string(page), "`"+name+"=") {
			t.Errorf("docs/clients.md lacks %s", v.name)
		}
	}
}
