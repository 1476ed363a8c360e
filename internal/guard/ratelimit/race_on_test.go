//go:build race

package ratelimit_test

// raceDetector: everything takes some ten times as long under it.
const raceDetector = true
