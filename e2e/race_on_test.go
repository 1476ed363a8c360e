//go:build race

package e2e

// raceDetector: tests that run under it test a server that runs under it.
const raceDetector = true
