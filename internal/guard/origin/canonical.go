package origin

import (
	"errors"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// canonical says what is wrong with an origin from the configuration, nil if it
// is exactly what a browser would send. An entry that only nearly fits would
// never match, and the operator would look for the fault elsewhere.
func canonical(origin string) error {
	if strings.ContainsAny(origin, "*?^$|()\\") {
		return errors.New("patterns are not supported, list each origin")
	}
	u, err := url.Parse(origin)
	if err != nil {
		return errors.New("not an origin like https://app.example.com")
	}
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return errors.New("the scheme must be https or http")
	case u.User != nil:
		return errors.New("an origin has no user name or password")
	case origin != u.Scheme+"://"+u.Host:
		return errors.New("an origin is scheme://host or scheme://host:port in lower case, without path, slash, query or fragment")
	case u.Scheme == "https" && u.Port() == "443", u.Scheme == "http" && u.Port() == "80":
		return errors.New("leave the default port out, as browsers do")
	case strings.HasSuffix(u.Host, ":"):
		return errors.New("the port is empty")
	}
	if err := canonicalPort(u.Port()); err != nil {
		return err
	}
	return canonicalHost(u.Hostname())
}

func canonicalPort(port string) error {
	if port == "" {
		return nil
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || strconv.FormatUint(n, 10) != port {
		return errors.New("the port must be a number from 1 to 65535 without leading zeros")
	}
	return nil
}

func canonicalHost(host string) error {
	if ip, err := netip.ParseAddr(host); err == nil {
		if ip.String() != host || ip.Zone() != "" {
			return errors.New("the IP address is not in its shortest form")
		}
		return nil
	}
	for label := range strings.SplitSeq(host, ".") {
		if label == "" {
			return errors.New("the host has an empty part")
		}
		for _, c := range label {
			if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
				return errors.New("the host may have a-z, 0-9, dot and hyphen only; write international names in their xn-- form")
			}
		}
	}
	return nil
}
