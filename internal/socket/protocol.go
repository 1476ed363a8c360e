package socket

import (
	"context"
	"encoding/base64"
	"net/http"
	"strings"

	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/deflate"
	"example.com/portcullis/internal/secret"
)

const (
	// maxOffers and maxOfferBytes bound the subprotocol list (CVE-2021-32640): ours
	// has two entries, one of them a ticket of at most 2 KiB.
	maxOffers     = 8
	maxOfferBytes = 4 << 10
	// maxExtensionBytes bounds a header that we do not use but proxies parse.
	maxExtensionBytes = 1 << 10

	ticketPrefix = "ticket."
)

// offer is what the client proposed.
type offer struct {
	selected bool // a subprotocol was asked for that we speak
	encoding encoding
	deflate  bool // permessage-deflate was offered, and this route has it
	ticket   secret.Text
}

// checkProtocol is RFC 6455 section 4.2.1, strictly: what a browser sends passes,
// and what would make a proxy and us read the request differently does not.
//
//control:name handshake-protocol
func (h *handshake) checkProtocol(context.Context) *refusal {
	r := h.r
	bad := func(status int, reason string) *refusal {
		return &refusal{status: status, control: "handshake-protocol", reason: reason}
	}
	key, err := base64.StdEncoding.DecodeString(only(r.Header["Sec-Websocket-Key"]))
	switch {
	case r.Method != http.MethodGet:
		return bad(http.StatusMethodNotAllowed, "method")
	case r.ProtoMajor != 1 || r.ProtoMinor != 1: // RFC 8441 is not supported
		return bad(http.StatusBadRequest, "http_version")
	case !hasToken(r.Header["Connection"], "upgrade") || !hasToken(r.Header["Upgrade"], "websocket"):
		return bad(http.StatusUpgradeRequired, "no_upgrade")
	case only(r.Header["Sec-Websocket-Version"]) != "13":
		return bad(http.StatusUpgradeRequired, "version")
	case err != nil || len(key) != 16:
		return bad(http.StatusBadRequest, "key")
	case r.ContentLength != 0 || len(r.TransferEncoding) > 0:
		return bad(http.StatusBadRequest, "body")
	case size(r.Header["Sec-Websocket-Extensions"]) > maxExtensionBytes,
		size(r.Header["Sec-Websocket-Protocol"]) > maxOfferBytes:
		return bad(http.StatusBadRequest, "header_size")
	}
	return nil
}

// readOffer selects the subprotocol and takes the ticket out of where the route
// has it. The ticket is never selected, so it is never echoed.
//
//control:name compression
func (h *handshake) readOffer(context.Context) *refusal {
	bad := &refusal{status: http.StatusBadRequest, control: "handshake-protocol", reason: "subprotocol"}
	offers := split(h.r.Header["Sec-Websocket-Protocol"])
	if len(offers) > maxOffers {
		return bad
	}
	for _, o := range offers {
		raw, isTicket := strings.CutPrefix(o, ticketPrefix)
		spoken, known := protocols[o]
		switch {
		case known && !h.offer.selected && h.route.speaks(spoken): // the client lists what it likes best first
			h.offer.selected, h.offer.encoding = true, spoken
		case isTicket && h.route.means == byOffer:
			if !h.offer.ticket.Empty() {
				return &refusal{status: http.StatusUnauthorized, control: "ticket", reason: "several_tickets", level: audit.Critical}
			}
			h.offer.ticket = secret.NewText(raw)
		}
	}
	if !h.offer.selected && (len(offers) > 0 || h.route.means == byOffer) {
		return bad // a browser that offered something and got nothing closes anyway
	}
	h.offer.deflate = h.route.public && deflate.Offered(h.r.Header["Sec-Websocket-Extensions"])
	if h.route.means == byBearer {
		scheme, raw, _ := strings.Cut(only(h.r.Header["Authorization"]), " ")
		if strings.EqualFold(scheme, "Bearer") {
			h.offer.ticket = secret.NewText(raw)
		}
	}
	return nil
}

// only returns the one value of a header, "" if there is none or more than one.
func only(values []string) string {
	if len(values) != 1 {
		return ""
	}
	return values[0]
}

// split reads a comma-separated header of any number of lines.
func split(values []string) []string {
	var all []string
	for _, v := range values {
		for part := range strings.SplitSeq(v, ",") {
			if part = strings.Trim(part, " \t"); part != "" {
				all = append(all, part)
			}
		}
	}
	return all
}

func hasToken(values []string, token string) bool {
	for _, v := range split(values) {
		if strings.EqualFold(v, token) {
			return true
		}
	}
	return false
}

func size(values []string) int {
	n := 0
	for _, v := range values {
		n += len(v)
	}
	return n
}
