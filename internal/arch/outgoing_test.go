package arch_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// dials are the places that open connections to elsewhere, with where to. None takes
// an address from a client. Databases have drivers of their own, in one package each.
var dials = map[string]string{
	"internal/guard/malware": "the virus scanner, on this machine",
	"internal/guard/certs":   "the ACME authority of the configuration",
	"internal/tunnel":        "targets of the configuration, checked after their names are resolved",
	"internal/embedded":      "the servers that it has started itself",
	"internal/app":           "the databases of the configuration",
	"cmd/portcullis":         "this server's own listener, for the health command",
	"internal/attack":        "a server on this machine: exploits, and no part of the program",
	"internal/drill":         "the operator's own server, for exercises",
	"internal/testkit":       "servers of tests",
}

// outgoing finds calls and types that open connections, by package and name.
func outgoing(t *testing.T, found func(s source, what string)) {
	t.Helper()
	names := map[string][]string{
		"http": {"Get", "Head", "Post", "PostForm", "Client", "Transport", "DefaultClient", "DefaultTransport", "NewRequest", "NewRequestWithContext"},
		"net":  {"Dial", "DialTimeout", "DialTCP", "DialUDP", "DialUnix", "Dialer"},
		"tls":  {"Dial", "DialWithDialer", "Dialer"},
	}
	for _, s := range sources(t) {
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, s.path), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok {
				if id, ok := sel.X.(*ast.Ident); ok && slices.Contains(names[id.Name], sel.Sel.Name) {
					found(s, id.Name+"."+sel.Sel.Name)
				}
			}
			return true
		})
	}
}

// A server that fetches what a message names can be told to fetch from inside (SSRF).
//
//control:proves link-preview
func TestOutgoing_connectionsAreOpenedInListedPlacesOnly(t *testing.T) {
	seen := 0
	outgoing(t, func(s source, what string) {
		seen++
		if dials[s.pkg] == "" {
			t.Errorf("%s uses %s: whoever can name the address reaches our inside. If no client can, give %s a line in dials, in internal/arch/outgoing_test.go, with where to", s.path, what, s.pkg)
		}
	})
	if seen == 0 {
		t.Error("no use found, but the scanner is dialled somewhere")
	}
}

//control:proves link-preview
func TestOutgoing_nothingNearAMessageOpensAConnection(t *testing.T) {
	outgoing(t, func(s source, what string) {
		for _, near := range []string{"internal/chat", "internal/site", "internal/socket", "internal/wire", "internal/account", "internal/postgres", "internal/fanout"} {
			if s.pkg == near || strings.HasPrefix(s.pkg, near+"/") {
				t.Errorf("%s uses %s: what is near a message opens no connection. Do it in a package of its own that takes no address from a client", s.path, what)
			}
		}
	})
}
