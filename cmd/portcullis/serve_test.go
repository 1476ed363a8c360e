package main

import (
	"errors"
	"testing"
	"time"

	"example.com/portcullis/internal/config"
	"example.com/portcullis/internal/devcert"
)

func TestLoadCertificate_productionRefusesADevelopmentCertificate(t *testing.T) {
	f, err := devcert.Make(t.TempDir(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for env, refused := range map[string]bool{"development": false, "production": true} {
		got, err := loadCertificate(config.Config{Env: env, TLSCert: f.Cert, TLSKey: f.Key})
		if _, isProblem := errors.AsType[config.Problems](err); isProblem != refused || (got == nil) != refused {
			t.Errorf("%s: certificate %v, error %v; want refused %v", env, got != nil, err, refused)
		}
	}
}
