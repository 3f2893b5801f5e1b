package leasing

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"agentvault/keyring"
)

func TestPick(t *testing.T) {
	several := map[string]any{"text": "a\n", "port": json.Number("5432"), "list": []any{"x", true}, "null": nil, "none": ""}
	for _, tt := range []struct {
		name  string
		data  map[string]any
		field string
		want  string
		err   error
		says  string
	}{
		{"text, trimmed", several, "text", "a", nil, ""},
		{"a number", several, "port", "5432", nil, ""},
		{"a list", several, "list", `["x",true]`, nil, ""},
		{"null", several, "null", "", keyring.ErrEmpty, ""},
		{"empty", several, "none", "", keyring.ErrEmpty, ""},
		{"not there", several, "absent", "", keyring.ErrNotFound, `no field "absent" (one of: list, none, null, port, text)`},
		{"the only one", map[string]any{"k": "v"}, "", "v", nil, ""},
		{"one of several", several, "", "", nil, "several fields, and the ref names none (one of: list, "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			item, err := NewFields(tt.data).Pick(tt.field)
			if failed := tt.err != nil || tt.says != ""; failed != (err != nil) || tt.err != nil && !errors.Is(err, tt.err) {
				t.Fatalf("error %v, want %v", err, tt.err)
			}
			if err != nil && !strings.Contains(err.Error(), tt.says) || item.Value.Reveal() != tt.want {
				t.Errorf("got %q and %v, want %q and %q", item.Value.Reveal(), err, tt.want, tt.says)
			}
		})
	}
}

// What leases brought is overwritten when they are given back: those in use, those replaced,
// those that were no longer there, and those that cannot be given back.
func TestRevokeOverwrites(t *testing.T) {
	stuck := errors.New("no")
	s := NewSet(t.Context(), Server[string]{Revoke: func(_ context.Context, l *Lease[string]) error {
		if l.ID == "stuck" {
			return stuck
		}
		return nil
	}})
	var all []Fields
	take := func(id string) *Lease[string] {
		l, err := s.Get(t.Context(), id, func(*Lease[string]) bool { return false }, func(context.Context) (*Lease[string], error) {
			return &Lease[string]{ID: id, Fields: NewFields(map[string]any{"k": "value of " + id}), Given: time.Hour}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, l.Fields)
		return l
	}
	take("same")
	take("same")
	s.Forget(take("gone"))
	take("stuck")
	for _, f := range all {
		if f["k"].Len() == 0 {
			t.Error("overwritten too early")
		}
	}
	if left := s.Revoke(t.Context()); len(left) != 1 || left[0].Lease.ID != "stuck" {
		t.Errorf("left: %v", left)
	}
	for _, f := range all {
		if f["k"].Len() != 0 {
			t.Error("a value is still in memory")
		}
	}
}
