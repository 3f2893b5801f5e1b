package inject

import "agentvault/keyring"

// Partial is an Injector that needs more than one secret: a user beside the password, an
// access key's id beside the key. It is completed for each request, because the secrets
// change together.
type Partial interface {
	Injector
	// With returns the injector with the other secrets, in the order in which the service
	// names them. One that is empty is not there.
	With(others []keyring.Secret) Injector
}

var (
	_ Partial = Basic{}
	_ Partial = SigV4{}
)

// With implements Partial: the user.
func (b Basic) With(others []keyring.Secret) Injector {
	b.User = others[0].Reveal()
	return b
}

// With implements Partial: the access key's id, and the session token if there is one.
func (s SigV4) With(others []keyring.Secret) Injector {
	s.AccessKeyID = others[0].Reveal()
	if len(others) > 1 {
		s.SessionToken = others[1]
	}
	return s
}
