package inject

import (
	"encoding/base64"
	"net/http"
	"strings"

	"agentvault/keyring"
)

// Basic sends `Authorization: Basic`, with the secret as the password of User. The
// pair is sent in UTF-8 (RFC 7617), so it may hold more than ASCII.
type Basic struct{ User string }

var _ Injector = Basic{}

// Inject implements Injector.
func (b Basic) Inject(req *http.Request, secret keyring.Secret) (string, error) {
	const where = "header Authorization (Basic)"
	v := secret.Reveal()
	if err := checkText(where, v); err != nil {
		return "", err
	}
	if err := checkUser(where, b.User); err != nil {
		return "", err
	}
	pair := base64.StdEncoding.EncodeToString([]byte(b.User + ":" + v))
	setHeader(req.Header, "Authorization", "Basic "+pair)
	return where, nil
}

// checkUser refuses a user that would move the border between user and password. An
// empty one is legal: some services take the password alone. The user may come from a
// keyring too, so it is not quoted.
func checkUser(where, user string) error {
	if strings.Contains(user, ":") {
		return &problem{where + ": the user holds a colon", "the user is what stands before the colon"}
	}
	if user == "" {
		return nil
	}
	return checkText(where+": user", user)
}
