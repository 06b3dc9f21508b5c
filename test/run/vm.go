package main

import (
	"context"
	"errors"
)

func machine(ctx context.Context, verbose bool) (tally, error) {
	return tally{}, errors.New("to come")
}
