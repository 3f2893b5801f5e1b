package session

import (
	"unsafe"

	"golang.org/x/sys/windows"
)

func (r *roots) addSystem(func(string) string) (where string) {
	where = "the certificate store ROOT"
	name, err := windows.UTF16PtrFromString("ROOT")
	if err != nil {
		return where
	}
	store, err := windows.CertOpenSystemStore(0, name)
	if err != nil {
		return where
	}
	defer windows.CertCloseStore(store, 0)
	var cert *windows.CertContext
	for {
		// Each call frees the context of the one before.
		if cert, err = windows.CertEnumCertificatesInStore(store, cert); err != nil || cert == nil {
			return where
		}
		der := unsafe.Slice(cert.EncodedCert, cert.Length)
		r.add([][]byte{append([]byte(nil), der...)})
	}
}
