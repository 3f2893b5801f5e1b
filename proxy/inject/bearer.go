package inject

import (
	"net/http"

	"agentvault/keyring"
)

// Bearer sends `Authorization: Bearer SECRET` and no other Authorization line. Other
// headers of the child stay, an X-Api-Key too: they are other slots.
type Bearer struct{}

var _ Injector = Bearer{}

// Inject implements Injector.
func (Bearer) Inject(req *http.Request, secret keyring.Secret) (string, error) {
	return Header{Name: "Authorization", Prefix: "Bearer "}.Inject(req, secret)
}
