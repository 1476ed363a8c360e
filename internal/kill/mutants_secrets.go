package main

func secrets() []mutant {
	return []mutant{
		{
			Control: "secrets",
			Removes: "a secret shows itself to JSON",
			File:    "internal/secret/secret.go",
			Old:     "func (t Text) MarshalJSON() ([]byte, error) { return []byte(`\"` + Mask + `\"`), nil }",
			New:     "func (t Text) MarshalJSON() ([]byte, error) { return []byte(`\"` + t.value + `\"`), nil }",
			Package: "./internal/secret",
			Kills:   []string{"TestSecretsNeverPrint"},
		},
		{
			Control: "secrets",
			Removes: "a secret shows itself to printf",
			File:    "internal/secret/secret.go",
			Old:     "func (t Text) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(Mask)) }",
			New:     "func (t Text) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(t.value)) }",
			Package: "./internal/secret",
			Kills:   []string{"TestSecretsNeverPrint"},
		},
		{
			Control: "secrets",
			Removes: "a key shows itself to the log",
			File:    "internal/secret/secret.go",
			Old:     "func (s Bytes) LogValue() slog.Value { return slog.StringValue(Mask) }",
			New:     "func (s Bytes) LogValue() slog.Value { return slog.StringValue(string(s.value)) }",
			Package: "./internal/secret",
			Kills:   []string{"TestSecretsNeverPrint"},
		},
		{
			Control: "secrets",
			Removes: "a password from a tutorial goes live",
			File:    "internal/config/validate.go",
			Old:     `slices.Contains(samplePasswords, strings.ToLower(password))`,
			New:     `slices.Contains(samplePasswords[:0], strings.ToLower(password))`,
			Package: "./internal/config",
			Kills:   []string{"TestLoad_productionRefusesSecretsThatEverybodyKnows"},
		},
		{
			Control: "secrets",
			Removes: "a sentence that somebody typed is a key",
			File:    "internal/config/validate.go",
			Old:     `bytes.Contains(lower, []byte(word))`,
			New:     `bytes.Equal(lower, []byte(word))`,
			Package: "./internal/config",
			Kills:   []string{"TestLoad_productionRefusesSecretsThatEverybodyKnows", "TestLoad_badValuesAreNamedWithTheVariable"},
		},
	}
}
