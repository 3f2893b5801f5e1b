package session

import (
	"context"
	"os"
	"os/exec"
	"time"
)

// Apple's own roots, and those that an administrator or a company's MDM added. The user's
// login keychain is left alone: reading it may ask a question.
var keychains = []string{
	"/System/Library/Keychains/SystemRootCertificates.keychain",
	"/Library/Keychains/System.keychain",
}

func (r *roots) addSystem(func(string) string) (where string) {
	// 10 s: the first call after a boot waits for securityd; a later one takes 0.1 s.
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	args := append([]string{"find-certificate", "-a", "-p"}, keychains...)
	if out, err := exec.CommandContext(ctx, "/usr/bin/security", args...).Output(); err == nil {
		r.add(decodePEM(out))
	}
	if len(r.certs) == 0 {
		// The copy that comes with the system's libressl: Apple's roots without the added ones.
		if data, err := os.ReadFile("/etc/ssl/cert.pem"); err == nil {
			r.add(decodePEM(data))
		}
	}
	return "the system's keychains and /etc/ssl/cert.pem"
}
