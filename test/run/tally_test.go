package main

import (
	"strings"
	"testing"
)

func TestReadCounts(t *testing.T) {
	stream := `{"Action":"run","Package":"mmbox/a","Test":"TestOne"}
{"Action":"output","Package":"mmbox/a","Test":"TestOne","Output":"quiet\n"}
{"Action":"pass","Package":"mmbox/a","Test":"TestOne"}
{"Action":"output","Package":"mmbox/a","Test":"TestTwo","Output":"--- FAIL\n"}
{"Action":"fail","Package":"mmbox/a","Test":"TestTwo"}
{"Action":"output","Package":"mmbox/a","Test":"TestThree","Output":"    a_test.go:1: no tape drive\n"}
{"Action":"output","Package":"mmbox/a","Test":"TestThree","Output":"--- SKIP: TestThree\n"}
{"Action":"skip","Package":"mmbox/a","Test":"TestThree"}
{"Action":"pass","Package":"mmbox/b"}
a compiler speaks
{"Action":"fail","Package":"mmbox/c"}
`
	var printed strings.Builder
	count, err := read(strings.NewReader(stream), &printed, false)
	if err != nil {
		t.Fatal(err)
	}
	if count.passed != 1 || count.failed != 2 || len(count.skipped) != 1 || count.skipped[0] != "a TestThree: a_test.go:1: no tape drive" {
		t.Errorf("counted %+v", count)
	}
	if got := printed.String(); got != "--- FAIL\na compiler speaks\n" {
		t.Errorf("printed %q", got)
	}
}

func TestChoose(t *testing.T) {
	chosen, err := choose(nil, []string{"vm"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range chosen {
		if c.left != (c.name == "vm") {
			t.Errorf("%s left out: %t", c.name, c.left)
		}
	}
	if _, err := choose([]string{"vms"}, nil); err == nil {
		t.Error("an unknown tier was taken")
	}
}
