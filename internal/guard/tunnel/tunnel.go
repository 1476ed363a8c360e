// Package tunnel decides about tunnels: a WebSocket whose bytes are relayed to a
// server inside, such as SSH or VNC.
//
// Threat: a relay that asks the client where to connect is an open proxy behind the
// firewall: it reaches 127.0.0.1:6379, the cloud's metadata address, and every port
// of every neighbour, one after the other (SSRF, CWE-918; the maintainers of
// websockify refuse arbitrary targets for this reason). A relay that trusts the chat's
// session gives SSH to whoever put one line of script into a message. One that does
// not look at what it carries turns "SSH to the bastion" into "any protocol to
// whatever answers on that port". One without an end keeps a door open for a person
// who left the company in spring.
//
// Rule, each part a file of pure decisions:
//
//   - targets.go: there are no tunnels unless the operator wrote some. A client names
//     one of that closed set; nothing that it sends is ever a host, a port or a part
//     of either. A spelling that is not exactly a name of the set is no name.
//   - grant.go: besides a session, a user needs a grant for this one target, given by
//     somebody else, with a reason and an end (four eyes), and a password proven in the
//     last five minutes.
//   - opening.go: both sides have to begin as the target's protocol does, the server
//     first. Not one byte of the client reaches a server that did not greet in that
//     protocol.
//   - quota.go: bytes in each direction, silence, and time have an end.
//
// Not covered: what happens inside of the tunnel. SSH is encrypted from end to end, so
// its commands, its passwords and its host key are between the two ends: the relay
// cannot pin the key. It tells the client which key the operator wrote down, and the
// client has to check it. RFB (VNC) is not encrypted by itself; what the protocol
// guard proves there is the greeting. A user with a grant can do with the target what
// the target lets them.
//
// Sources: RFC 4253 section 4.2, RFC 6143 section 7.1.1, CWE-918, CWE-441,
// CVE-2024-45337, ASVS 5.0 chapters 1.3.6, 8.4.2, 13.2.4.
package tunnel
