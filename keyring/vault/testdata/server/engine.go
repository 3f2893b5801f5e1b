package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
)

// engine issues pairs of keys under leases: a read of creds/NAME makes one, a read of live
// lists those that were neither revoked nor ended. How long they last is the mount's affair.
// creds/stuck makes one that cannot be revoked.
type engine struct {
	*framework.Backend

	mu     sync.Mutex
	issued int
	live   []string
}

func newEngine(ctx context.Context, c *logical.BackendConfig) (logical.Backend, error) {
	e := &engine{}
	name := map[string]*framework.FieldSchema{"name": {Type: framework.TypeString}}
	e.Backend = &framework.Backend{
		BackendType: logical.TypeLogical,
		Secrets:     []*framework.Secret{{Type: "pair", Renew: e.renew, Revoke: e.revoke}},
		Paths: []*framework.Path{
			{Pattern: "creds/" + framework.GenericNameRegex("name"), Fields: name,
				Operations: map[logical.Operation]framework.OperationHandler{logical.ReadOperation: &framework.PathOperation{Callback: e.issue}}},
			{Pattern: "live",
				Operations: map[logical.Operation]framework.OperationHandler{logical.ReadOperation: &framework.PathOperation{Callback: e.list}}},
		},
	}
	return e, e.Setup(ctx, c)
}

func (e *engine) issue(_ context.Context, _ *logical.Request, d *framework.FieldData) (*logical.Response, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.issued++
	key := fmt.Sprintf("%s-%d", d.Get("name"), e.issued)
	e.live = append(e.live, key)
	return e.Secret("pair").Response(
		map[string]any{"access_key": key, "secret_key": "secret of " + key, "security_token": nil},
		map[string]any{"access_key": key, "name": d.Get("name")}), nil
}

func (e *engine) renew(_ context.Context, r *logical.Request, _ *framework.FieldData) (*logical.Response, error) {
	return &logical.Response{Secret: r.Secret}, nil
}

func (e *engine) revoke(_ context.Context, r *logical.Request, _ *framework.FieldData) (*logical.Response, error) {
	if r.Secret.InternalData["name"] == "stuck" {
		return nil, errors.New("this one cannot be revoked")
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.live = slices.DeleteFunc(e.live, func(k string) bool { return k == r.Secret.InternalData["access_key"] })
	return nil, nil
}

func (e *engine) list(context.Context, *logical.Request, *framework.FieldData) (*logical.Response, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return &logical.Response{Data: map[string]any{"keys": slices.Clone(e.live)}}, nil
}
