// Command run is make test: it runs the tiers of the tests one after the other and says for each what ran, passed,
// failed and was skipped, and why.
//
//	go run ./test/run [--only TIER,...] [--skip TIER,...]
//
// A tier that cannot run has failed, unless it was left out on purpose. The last line counts all tests.
package main
