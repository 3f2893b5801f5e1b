package inject

import (
	"net/http"

	"agentvault/keyring"
)

// None adds nothing: for a service that is covered for its rules alone. The child's
// own credentials pass.
type None struct{}

var _ Injector = None{}

// Inject implements Injector. It changes nothing.
func (None) Inject(*http.Request, keyring.Secret) (string, error) { return "", nil }
