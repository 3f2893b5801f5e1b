package config

import (
	"strings"
	"testing"
	"time"
)

func TestKeeping(t *testing.T) {
	f, err := Parse(FileName, []byte("[log]\nkeep = \"90d\"\nkeep_mib = 500\npart_mib = 16\n"))
	if err != nil || f.Keeping != (Keeping{90 * 24 * time.Hour, 500, 16}) {
		t.Fatalf("%+v, %v", f, err)
	}
	if c, err := f.Compile(); err != nil || c.Keeping != f.Keeping {
		t.Errorf("compiled: %+v, %v", c, err)
	}
	for text, want := range map[string]string{
		`keep = "soon"`: `log: keep: "soon" is no number of days`, `keep = "0d"`: "no number of days", `keep = "12h"`: "no number of days",
		`keep = 90`: "want a string", `keep_mib = 0`: "keep_mib: want a number of MiB", `keep_mib = "500"`: "want a number of MiB", `part_mib = -1`: "part_mib: want a number of MiB", `kep = "1d"`: `unknown key "kep"`,
	} {
		if _, err := Parse(FileName, []byte("[log]\n"+text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
