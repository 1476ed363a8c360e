package main

func browser() []mutant {
	return []mutant{
		{
			Control: "headers",
			Removes: "a browser that is too old is not told",
			File:    "internal/site/pages.go",
			Old:     `return r.Header.Get("Sec-Fetch-Mode") == ""`,
			New:     `return r.Header.Get("Sec-Fetch-Mode") == "none at all"`,
			Package: "./internal/site",
			Kills:   []string{"TestPages_tellABrowserThatItIsTooOld"},
		},
		{
			Control: "headers",
			Removes: "the policy is only reported, not enforced",
			File:    "internal/guard/headers/headers.go",
			Old:     `h.Set("Content-Security-Policy", `,
			New:     `h.Set("Content-Security-Policy-Report-Only", `,
			Package: "./internal/guard/headers",
			Kills:   []string{"TestWrap_setsEveryHeader", "TestWrap_coversErrorsAndRefusals"},
		},
		{
			Control: "headers",
			Removes: "the nonce of scripts is always the same",
			File:    "internal/guard/headers/headers.go",
			Old:     "nonce := rand.Text()",
			New:     `nonce := rand.Text()[:0] + "AAAAAAAAAAAAAAAAAAAAAAAAAA"`,
			Package: "./internal/guard/headers",
			Kills:   []string{"TestWrap_nonceIsLongAndNeverRepeats"},
		},
		{
			Control: "headers",
			Removes: "scripts may open sockets to anywhere",
			File:    "internal/guard/headers/headers.go",
			Old:     `connect-src 'self' " + strings.Join(connect, " ") +`,
			New:     `connect-src 'self' ws: wss: " + strings.Join(connect, " ") +`,
			Package: "./internal/guard/headers",
			Kills:   []string{"TestWrap_setsEveryHeader", "TestWrap_connectsToExactOriginsOnly"},
		},
		{
			Control: "headers",
			Removes: "other sites may frame the pages",
			File:    "internal/guard/headers/headers.go",
			Old:     "frame-ancestors 'none'",
			New:     "frame-ancestors *",
			Package: "./internal/guard/headers",
			Kills:   []string{"TestWrap_setsEveryHeader"},
		},
		{
			Control: "headers",
			Removes: "browsers may guess content types",
			File:    "internal/guard/headers/headers.go",
			Old: `		h.Set("X-Content-Type-Options", "nosniff")
`,
			New:     "",
			Package: "./internal/guard/headers",
			Kills:   []string{"TestWrap_setsEveryHeader", "TestWrap_coversErrorsAndRefusals"},
		},
		{
			Control: "hsts",
			Removes: "browsers are not told to remember https",
			File:    "internal/guard/headers/headers.go",
			Old:     `return base.Scheme == "https" && !onThisMachine(base.Hostname())`,
			New:     `return base.Scheme == "https" && onThisMachine(base.Hostname())`,
			Package: "./internal/guard/headers",
			Kills:   []string{"TestWrap_sendsHSTSOnlyWhereItBelongs"},
		},
	}
}
