package session

import (
	"bytes"
	"encoding/base64"
	"encoding/pem"
)

const (
	pemBegin = "-----BEGIN CERTIFICATE-----"
	pemEnd   = "-----END CERTIFICATE-----"
	// RFC 7468 2: every line but the last has 64 characters.
	pemLine = 64
)

// decodePEM returns the certificates of a file, whatever text stands between them.
//
// encoding/pem needs a millisecond and a half for the roots of a system, at every start;
// what is written as RFC 7468 asks is read here, and everything else is left to it.
func decodePEM(data []byte) (certs [][]byte) {
	var text []byte
	room := make([]byte, 0, base64.StdEncoding.DecodedLen(len(data)))
	for {
		block, rest, ok := cutBlock(data)
		if !ok {
			return append(certs, slowPEM(data)...)
		}
		if block == nil {
			return certs
		}
		text = appendLines(text[:0], block)
		der := room[len(room):cap(room)]
		n, err := base64.StdEncoding.Decode(der, text)
		if err != nil || n == 0 {
			return append(certs, slowPEM(data)...)
		}
		room = room[:len(room)+n]
		certs = append(certs, der[:n:n])
		data = rest
	}
}

// cutBlock returns what stands inside the first block and what follows it, nil where there
// is none. It is not ok where the first line that begins a block is no plain one.
func cutBlock(data []byte) (block, rest []byte, ok bool) {
	begin := bytes.Index(data, []byte("-----BEGIN"))
	if begin < 0 {
		return nil, nil, true
	}
	if begin > 0 && data[begin-1] != '\n' || !bytes.HasPrefix(data[begin:], []byte(pemBegin+"\n")) {
		return nil, nil, false
	}
	block = data[begin+len(pemBegin)+1:]
	end := bytes.Index(block, []byte("\n-----"))
	if end < 0 || !bytes.HasPrefix(block[end+1:], []byte(pemEnd)) {
		return nil, nil, false
	}
	rest = block[end+1+len(pemEnd):]
	return block[:end], rest, len(rest) == 0 || rest[0] == '\n'
}

// appendLines appends the lines of text without their ends.
func appendLines(to, text []byte) []byte {
	for len(text) > 0 {
		line := text
		if i := bytes.IndexByte(text, '\n'); i >= 0 {
			line, text = text[:i], text[i+1:]
		} else {
			text = nil
		}
		to = append(to, bytes.TrimRight(line, " \t")...)
	}
	return to
}

func slowPEM(data []byte) (certs [][]byte) {
	for {
		var b *pem.Block
		if b, data = pem.Decode(data); b == nil {
			return certs
		}
		if b.Type == "CERTIFICATE" {
			certs = append(certs, b.Bytes)
		}
	}
}

// encodePEM writes certificates one after the other. OpenSSL wants nothing but the blocks.
func encodePEM(certs ...[]byte) []byte {
	size := 0
	for _, der := range certs {
		n := base64.StdEncoding.EncodedLen(len(der))
		size += len(pemBegin) + len(pemEnd) + 2 + n + (n+pemLine-1)/pemLine
	}
	b := make([]byte, 0, size)
	for _, der := range certs {
		b = append(append(b, pemBegin...), '\n')
		for len(der) > 0 {
			n := min(len(der), pemLine/4*3)
			b = append(base64.StdEncoding.AppendEncode(b, der[:n]), '\n')
			der = der[n:]
		}
		b = append(append(b, pemEnd...), '\n')
	}
	return b
}
