package inject

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"strings"
)

// parseRSAKey reads a PEM private key, PKCS #1 or #8. A key that was stored on one line
// with `\n` written out is read as well: that is what environment files make of it.
func parseRSAKey(text string) (*rsa.PrivateKey, error) {
	if !strings.Contains(text, "\n") {
		text = strings.ReplaceAll(text, `\n`, "\n")
	}
	bad := &problem{"the secret is not an RSA private key in PEM", "store the whole file, from -----BEGIN to -----END"}
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, bad
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, bad // the parser's words may quote the key
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return nil, bad
	}
	return key, nil
}

// signJWT makes a JWT (RFC 7519) with RS256.
func signJWT(key *rsa.PrivateKey, keyID string, claims map[string]any) (string, error) {
	header := map[string]string{"alg": "RS256", "typ": "JWT"}
	if keyID != "" {
		header["kid"] = keyID
	}
	head, err1 := json.Marshal(header)
	body, err2 := json.Marshal(claims)
	if err := errors.Join(err1, err2); err != nil {
		return "", err
	}
	enc := base64.RawURLEncoding
	text := enc.EncodeToString(head) + "." + enc.EncodeToString(body)
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		return "", errors.New("the private key cannot sign: " + err.Error())
	}
	return text + "." + enc.EncodeToString(signature), nil
}
