//go:build race

package socket

// raceDetector: everything takes some ten times as long under it.
const raceDetector = true
