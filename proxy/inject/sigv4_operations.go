package inject

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// maxForm is how much of a form is read to learn its Action. STS takes 2,048 characters
// of policy; no query-protocol request comes near it.
const maxForm = 1 << 20

// refuseCredentialOperation stops calls that AWS answers with a credential, or in which the
// child sets one of its own choice: it would hold a secret after all, and one that no proxy
// sees used. The name of the operation is looked for in every place where one of AWS's
// protocols puts it, whatever protocol the service is known for: many take several.
//
// STS is held to a list of what is harmless, because its purpose is to hand out
// credentials. Elsewhere the operations are named; one that is new is not known here.
func refuseCredentialOperation(req *http.Request, service string) error {
	service = strings.ToLower(service)
	names, err := operationNames(req, service)
	if err != nil {
		return err
	}
	for _, name := range names {
		if handsOutCredentials(name) {
			return refusedOperation(name)
		}
		if strings.HasPrefix(name, "GetParameter") && service == "ssm" {
			if err := refuseDecryption(req, name); err != nil {
				return err
			}
		}
	}
	switch host := hostOf(req); {
	case service == "sts", strings.HasPrefix(host, "sts."), strings.HasPrefix(host, "sts-fips."):
		if len(names) == 0 || slices.ContainsFunc(names, func(n string) bool { return !harmlessInSTS(n) }) {
			return refusedOperation("sts")
		}
	case onlyQuery(service) && len(names) == 0:
		return &wrongOperation{problem{"sigv4: the request names no action that can be read", "send Action in the query or in a plain form"}}
	}
	if name := credentialPath(req, service); name != "" {
		return refusedOperation(name)
	}
	return nil
}

func harmlessInSTS(operation string) bool {
	return operation == "GetCallerIdentity" || operation == "DecodeAuthorizationMessage" || operation == "GetAccessKeyInfo"
}

// onlyQuery holds for services of the query protocol, some of whose operations are listed.
// Their body is a form whatever its type says: so may they read it.
func onlyQuery(service string) bool {
	switch service {
	case "sts", "iam", "redshift", "ec2":
		return true
	}
	return false
}

// operationNames collects X-Amz-Target's last word, every Action of query and form, and
// the operation in the path of the RPC protocols.
func operationNames(req *http.Request, service string) ([]string, error) {
	var names []string
	for key, lines := range req.Header {
		if sameSlot(key, "X-Amz-Target") {
			for _, line := range lines {
				names = append(names, lastWord(line))
			}
		}
	}
	names = append(names, actions(req.URL.Query())...)
	if parts := strings.Split(req.URL.Path, "/operation/"); len(parts) > 1 {
		for _, part := range parts[1:] {
			names = append(names, strings.Trim(part, "/"))
		}
	}
	if service == "lakeformation" { // its paths are its operations
		path := strings.TrimSuffix(req.URL.Path, "/")
		names = append(names, path[strings.LastIndexByte(path, '/')+1:])
	}
	form := strings.HasPrefix(strings.ToLower(req.Header.Get("Content-Type")), "application/x-www-form-urlencoded")
	if !onlyQuery(service) && (!form || strings.HasPrefix(service, "s3")) { // an object may be of any type
		return names, nil
	}
	body, err := bufferBody(req, maxForm)
	if err != nil {
		return nil, err
	}
	fields, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, &problem{"sigv4: the form cannot be read, so its action is not known", ""}
	}
	return append(names, actions(fields)...), nil
}

func actions(values url.Values) (names []string) {
	for key, all := range values {
		if strings.EqualFold(key, "Action") || strings.EqualFold(key, "Operation") || strings.EqualFold(key, "X-Amz-Target") {
			for _, name := range all {
				names = append(names, lastWord(name))
			}
		}
	}
	return names
}

// refuseDecryption lets parameters of Systems Manager be read that are no secrets: those
// that are come encrypted unless WithDecryption is set.
func refuseDecryption(req *http.Request, name string) error {
	body, err := bufferBody(req, maxForm)
	if err != nil {
		return err
	}
	if decrypts(body) {
		return refusedOperation(name + " with " + withDecryption)
	}
	return nil
}

const withDecryption = "WithDecryption"

func decrypts(body []byte) bool {
	if !json.Valid(body) { // CBOR, or a form
		return bytes.Contains(bytes.ToLower(body), bytes.ToLower([]byte(withDecryption)))
	}
	fields := json.NewDecoder(bytes.NewReader(body))
	if open, err := fields.Token(); err != nil || open != json.Delim('{') {
		return false
	}
	for fields.More() {
		key, _ := fields.Token()
		var value json.RawMessage
		if fields.Decode(&value) != nil {
			return true
		}
		if text, _ := key.(string); strings.EqualFold(text, withDecryption) && string(value) != "false" {
			return true
		}
	}
	return false
}

func refusedOperation(name string) error {
	return &wrongOperation{problem{"sigv4: " + slotName(name) + " is answered with a credential, which the child must not hold",
		"the human can set allow_credential_operations = true on the service"}}
}
