package tunnel

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

const (
	// maxTargets is more than anybody should reach from a chat.
	maxTargets = 64
	// maxHost is the longest name of the DNS, RFC 1035 section 2.3.4.
	maxHost = 253
)

// Target is one server inside, as the operator wrote it.
type Target struct {
	Name     string // what clients say: 1 to 32 of a–z 0–9 -, beginning with a letter
	Protocol Protocol
	Host     string // an address or a DNS name
	Port     uint16
	HostKey  string // "SHA256:…" as ssh-keygen -l prints it, for clients to check; "" if none was given
}

var (
	nameForm = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)
	hostForm = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$`)
)

// hostKeyMark stands between the address and the fingerprint.
const hostKeyMark = ";hostkey="

// UnmarshalText reads name=protocol:host:port, an IPv6 host in brackets, for SSH with
// ;hostkey=SHA256:… behind it. What cannot be meant is refused: addresses that are no
// single machine, port 0, numbers in spellings that some resolver reads as another address.
func (t *Target) UnmarshalText(b []byte) error {
	name, rest, ok := strings.Cut(strings.TrimSpace(string(b)), "=")
	if !ok || !nameForm.MatchString(name) {
		return errors.New("a tunnel is name=protocol:host:port, with a name of at most 32 of a-z 0-9 and -, beginning with a letter")
	}
	rest, key, pinned := strings.Cut(rest, hostKeyMark)
	protocol, address, ok := strings.Cut(rest, ":")
	if !ok || !Protocol(protocol).Known() {
		return fmt.Errorf("tunnel %s: the protocol is ssh or rfb", name)
	}
	host, port, err := splitAddress(address)
	if err != nil {
		return fmt.Errorf("tunnel %s: %w", name, err)
	}
	if pinned {
		raw, err := base64.RawStdEncoding.Strict().DecodeString(strings.TrimPrefix(key, "SHA256:"))
		if Protocol(protocol) != SSH || !strings.HasPrefix(key, "SHA256:") || err != nil || len(raw) != 32 {
			return fmt.Errorf("tunnel %s: hostkey is SHA256: and the fingerprint that ssh-keygen -l prints, of an SSH target", name)
		}
	}
	*t = Target{Name: name, Protocol: Protocol(protocol), Host: host, Port: port, HostKey: key}
	return nil
}

func splitAddress(s string) (host string, port uint16, err error) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return "", 0, errors.New("the address is host:port")
	}
	host = s[:i]
	n, err := strconv.ParseUint(s[i+1:], 10, 16)
	if err != nil || n == 0 || strconv.FormatUint(n, 10) != s[i+1:] {
		return "", 0, errors.New("the port is a number from 1 to 65535")
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		inner, closed := strings.CutSuffix(inner, "]")
		addr, err := netip.ParseAddr(inner)
		if !closed || err != nil || !addr.Is6() || addr.Zone() != "" || !Dialable(addr) {
			return "", 0, errors.New("what stands in brackets is the IPv6 address of one machine")
		}
		return addr.Unmap().String(), uint16(n), nil
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		if !addr.Is4() || !Dialable(addr) {
			return "", 0, errors.New("the address is not that of one machine; IPv6 stands in brackets")
		}
		return addr.String(), uint16(n), nil
	}
	last := host[strings.LastIndexByte(host, '.')+1:]
	switch {
	case len(host) > maxHost || !hostForm.MatchString(host) || strings.Contains(host, ".."):
		return "", 0, errors.New("the host is an address or a DNS name")
	case last == "" || last[0] >= '0' && last[0] <= '9': // 2130706433, 0177.0.0.1, 127.1, 0x7f.1
		return "", 0, errors.New("the host looks like an address in a spelling that is not one")
	}
	return host, uint16(n), nil
}

// Dialable reports whether a is the address of one machine. Private, loopback and
// link-local ones are: the operator wrote them down, and nobody else can.
func Dialable(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsValid() && !a.IsUnspecified() && !a.IsMulticast() && a != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// Targets is the closed set. The zero Targets is empty, so that every name is refused.
type Targets struct {
	byName map[string]Target
	names  []string
}

// NewTargets makes the set. Two targets of one name are an error.
func NewTargets(list []Target) (Targets, error) {
	if len(list) > maxTargets {
		return Targets{}, fmt.Errorf("tunnel: %d targets, at most %d", len(list), maxTargets)
	}
	s := Targets{byName: make(map[string]Target, len(list))}
	for _, t := range list {
		if _, twice := s.byName[t.Name]; twice {
			return Targets{}, fmt.Errorf("tunnel: two targets have the name %q", t.Name)
		}
		if !nameForm.MatchString(t.Name) || !t.Protocol.Known() || t.Host == "" || t.Port == 0 {
			return Targets{}, fmt.Errorf("tunnel: target %q is not whole", t.Name)
		}
		s.byName[t.Name] = t
		s.names = append(s.names, t.Name)
	}
	return s, nil
}

// Find returns the target with exactly this name. It is one look into a map, the same
// for every text: nothing is parsed, unescaped, folded or resolved, so there is no
// spelling that gets further than another.
//
//control:name tunnel
func (s Targets) Find(name string) (Target, bool) {
	t, ok := s.byName[name]
	return t, ok
}

// Names lists the targets in the order of the configuration.
func (s Targets) Names() []string { return s.names }

// Empty reports whether there are no tunnels at all.
func (s Targets) Empty() bool { return len(s.names) == 0 }
