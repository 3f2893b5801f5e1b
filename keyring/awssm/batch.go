package awssm

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/smithy-go"

	"agentvault/keyring"
	"agentvault/keyring/internal/leasing"
)

const (
	// gatherTime is how long the first question waits for others: refs of a session are asked
	// for within microseconds of each other, and a call takes tens of milliseconds.
	gatherTime = 2 * time.Millisecond

	// maxBatch is what BatchGetSecretValue takes.
	maxBatch = 20
)

// rounds are calls of BatchGetSecretValue that gather what to ask for, by region.
type rounds struct {
	mu     sync.Mutex
	open   map[string]*round
	denied atomic.Bool // the role may read secrets one by one alone
}

// round is one call. done is closed when found and err do not change any more.
type round struct {
	region string
	ids    []string
	done   chan struct{}
	found  map[string]*secretsmanager.GetSecretValueOutput // by what was asked for
	err    error
}

// ask gets a secret together with others that are asked for at this moment, or, where it is
// the only one or the batch says nothing of it, by itself: then there is a reason to be told.
func (b *Backend) ask(ctx context.Context, ref keyring.Ref) (*secretsmanager.GetSecretValueOutput, error) {
	if ref.Stage != "" && ref.Stage != "AWSCURRENT" || b.rounds.denied.Load() { // a batch has the current versions alone
		return b.one(ctx, ref)
	}
	r := b.join(ref.Name)
	select {
	case <-r.done:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if r.err != nil {
		return nil, r.err
	}
	if out := r.found[ref.Name]; out != nil {
		return out, nil
	}
	return b.one(ctx, ref)
}

// join adds id to the round that gathers, or begins one.
func (b *Backend) join(id string) *round {
	b.rounds.mu.Lock()
	defer b.rounds.mu.Unlock()
	region := regionOf(id)
	r := b.rounds.open[region]
	if r == nil {
		r = &round{region: region, done: make(chan struct{})}
		if b.rounds.open == nil {
			b.rounds.open = map[string]*round{}
		}
		b.rounds.open[region] = r
		time.AfterFunc(gatherTime, func() { b.run(r) })
	}
	if r.ids = append(r.ids, id); len(r.ids) == maxBatch {
		delete(b.rounds.open, region)
	}
	return r
}

// run makes the call, for more than one.
func (b *Backend) run(r *round) {
	defer close(r.done)
	b.rounds.mu.Lock()
	if b.rounds.open[r.region] == r {
		delete(b.rounds.open, r.region)
	}
	b.rounds.mu.Unlock()
	if len(r.ids) < 2 {
		return
	}
	ctx, cancel := context.WithTimeout(b.ctx, leasing.CallTime)
	defer cancel()
	denied := false
	err := b.signed(ctx, r.region, func(c *secretsmanager.Client, at func(*secretsmanager.Options)) error {
		out, err := c.BatchGetSecretValue(ctx, &secretsmanager.BatchGetSecretValueInput{SecretIdList: r.ids}, at)
		if err == nil {
			r.take(out)
		}
		var api smithy.APIError
		denied = errors.As(err, &api) && api.ErrorCode() == "AccessDeniedException"
		return err
	})
	switch {
	case denied:
		b.rounds.denied.Store(true)
	case errors.Is(err, keyring.ErrUnavailable), errors.Is(err, keyring.ErrDenied):
		r.err = err // and so it would be for each of them
	}
}

// take files the answers by what was asked for: a name, an ARN, or an ARN without the six
// characters that AWS adds to a name.
func (r *round) take(out *secretsmanager.BatchGetSecretValueOutput) {
	r.found = map[string]*secretsmanager.GetSecretValueOutput{}
	for _, v := range out.SecretValues {
		arn, name := aws.ToString(v.ARN), aws.ToString(v.Name)
		for _, id := range r.ids {
			short, ok := strings.CutPrefix(arn, id+"-")
			if arn != "" && (id == name || id == arn || ok && strings.Contains(id, ":") && len(short) == 6) {
				r.found[id] = &secretsmanager.GetSecretValueOutput{ARN: v.ARN, Name: v.Name, CreatedDate: v.CreatedDate,
					SecretBinary: v.SecretBinary, SecretString: v.SecretString, VersionId: v.VersionId}
			}
		}
	}
}
