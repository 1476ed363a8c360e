// Package passkeytest is an authenticator in software, for tests: it makes the answers
// that a browser would, byte by byte, and the wrong ones that no browser makes.
package passkeytest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
)

// The flags of authenticator data (W3C WebAuthn §6.1).
const (
	UserPresent  = 0x01
	UserVerified = 0x04
	attested     = 0x40
)

// Device holds one passkey. Its fields are what an attacker may change.
type Device struct {
	Origin string // of the page, as the browser writes it
	RPID   string // the name that the key is for
	Handle []byte // the user that the device names
	ID     []byte
	Count  uint32
	Flags  byte // of the next answer

	CrossOrigin bool   // the page is in another site's frame
	Type        string // of the client data; "" is the right one
	key         *ecdsa.PrivateKey
}

// New is a device that has verified its user, on a page of origin, with a new key.
func New(origin, rpID string) *Device {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	id := make([]byte, 32)
	rand.Read(id)
	return &Device{Origin: origin, RPID: rpID, ID: id, Flags: UserPresent | UserVerified, key: key}
}

// Create answers the options of a registration.
func (d *Device) Create(options []byte) []byte {
	var o struct {
		Challenge string `json:"challenge"`
		User      struct {
			ID string `json:"id"`
		} `json:"user"`
	}
	decode(options, &o)
	if d.Handle == nil {
		d.Handle = unbase64(o.User.ID)
	}
	client := d.client("webauthn.create", o.Challenge)
	data := d.data(attested)
	data = append(data, make([]byte, 16)...) // AAGUID: of no maker
	data = binary.BigEndian.AppendUint16(data, uint16(len(d.ID)))
	data = append(append(data, d.ID...), d.cose()...)

	object := []byte{0xa3} // {fmt: "none", attStmt: {}, authData: …} in CBOR
	object = append(append(object, text("fmt")...), text("none")...)
	object = append(append(object, text("attStmt")...), 0xa0)
	object = append(append(object, text("authData")...), bytesOf(data)...)
	return d.answer(map[string]any{
		"clientDataJSON": base64url(client), "attestationObject": base64url(object), "transports": []string{"internal"},
	})
}

// Get answers the options of a sign-in or a step-up.
func (d *Device) Get(options []byte) []byte {
	var o struct {
		Challenge string `json:"challenge"`
	}
	decode(options, &o)
	d.Count++
	client := d.client("webauthn.get", o.Challenge)
	data := d.data(0)
	hash := sha256.Sum256(client)
	digest := sha256.Sum256(append(data[:len(data):len(data)], hash[:]...))
	signature, err := ecdsa.SignASN1(rand.Reader, d.key, digest[:])
	if err != nil {
		panic(err)
	}
	return d.answer(map[string]any{
		"clientDataJSON": base64url(client), "authenticatorData": base64url(data), "signature": base64url(signature), "userHandle": base64url(d.Handle),
	})
}

func (d *Device) client(kind, challenge string) []byte {
	if d.Type != "" {
		kind = d.Type
	}
	return encode(map[string]any{"type": kind, "challenge": challenge, "origin": d.Origin, "crossOrigin": d.CrossOrigin})
}

func (d *Device) data(more byte) []byte {
	name := sha256.Sum256([]byte(d.RPID))
	return binary.BigEndian.AppendUint32(append(name[:], d.Flags|more), d.Count)
}

func (d *Device) answer(response map[string]any) []byte {
	id := base64url(d.ID)
	return encode(map[string]any{"id": id, "rawId": id, "type": "public-key", "authenticatorAttachment": "platform", "clientExtensionResults": map[string]any{}, "response": response})
}

// cose is the public key: ES256 on P-256 (RFC 9053 §7.1.1).
func (d *Device) cose() []byte {
	point, err := d.key.PublicKey.Bytes() // 4, x, y
	if err != nil {
		panic(err)
	}
	b := []byte{0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21}
	b = append(b, bytesOf(point[1:33])...)
	return append(append(b, 0x22), bytesOf(point[33:])...)
}

func text(s string) []byte { return append([]byte{0x60 | byte(len(s))}, s...) } // under 24 bytes

func bytesOf(b []byte) []byte {
	if len(b) < 256 {
		return append([]byte{0x58, byte(len(b))}, b...)
	}
	return append(binary.BigEndian.AppendUint16([]byte{0x59}, uint16(len(b))), b...)
}

func base64url(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func unbase64(s string) []byte {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

func decode(b []byte, v any) {
	if err := json.Unmarshal(b, v); err != nil {
		panic(fmt.Sprintf("options %s: %v", b, err))
	}
}
