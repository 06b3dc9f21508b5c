package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
)

// pixels is the size of an image: 8 rows of 8.
const pixels = 64

// magic starts a weights file.
const magic = "MMDIGIT1"

// maxUnits bounds a layer, so that a damaged header asks for no memory.
const maxUnits = 4096

// A layer is a matrix with a row of weights and a bias for each of its units.
type layer struct {
	weights []float32 // units × inputs
	bias    []float32
}

// apply sets out, one value a unit, to the layer's weighted sums of in.
func (l layer) apply(out, in []float32) {
	for unit := range out {
		row := l.weights[unit*len(in) : (unit+1)*len(in)]
		sum := l.bias[unit]
		for i, weight := range row {
			// The conversion forbids a fused multiply-add: every architecture gives the same sum.
			sum += float32(weight * in[i])
		}
		out[unit] = sum
	}
}

// A network is a perceptron of one hidden layer. It keeps its working memory, so it answers one caller at a time.
type network struct {
	hidden, output layer
	in, mid, out   []float32
}

// parseNetwork reads a weights file: the magic, three little-endian uint32 (inputs, hidden units, outputs), then the
// hidden layer's weights and biases and the output layer's, little-endian float32.
func parseNetwork(r io.Reader) (*network, error) {
	var head struct {
		Magic                   [len(magic)]byte
		Inputs, Hidden, Outputs uint32
	}
	if err := binary.Read(r, binary.LittleEndian, &head); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	if string(head.Magic[:]) != magic {
		return nil, fmt.Errorf("header: magic is %q: want %q", head.Magic[:], magic)
	}
	if head.Inputs != pixels || head.Outputs != 10 || head.Hidden == 0 || head.Hidden > maxUnits {
		return nil, fmt.Errorf("header: %d inputs, %d hidden units, %d outputs: want %d, 1 to %d and 10",
			head.Inputs, head.Hidden, head.Outputs, pixels, maxUnits)
	}
	n := &network{
		hidden: layer{make([]float32, head.Hidden*pixels), make([]float32, head.Hidden)},
		output: layer{make([]float32, 10*head.Hidden), make([]float32, 10)},
		in:     make([]float32, pixels),
		mid:    make([]float32, head.Hidden),
		out:    make([]float32, 10),
	}
	for _, part := range [][]float32{n.hidden.weights, n.hidden.bias, n.output.weights, n.output.bias} {
		if err := binary.Read(r, binary.LittleEndian, part); err != nil {
			return nil, fmt.Errorf("weights: %w", err)
		}
	}
	extra, err := io.Copy(io.Discard, r)
	if err != nil {
		return nil, fmt.Errorf("weights: %w", err)
	}
	if extra > 0 {
		return nil, fmt.Errorf("weights: %d bytes too many", extra)
	}
	return n, nil
}

// classify returns the digit an image shows and the probability the network gives it.
func (n *network) classify(image *[pixels]uint8) (digit int, probability float64) {
	for i, value := range image {
		n.in[i] = float32(value) / 16
	}
	n.hidden.apply(n.mid, n.in)
	for i, value := range n.mid {
		n.mid[i] = max(value, 0)
	}
	n.output.apply(n.out, n.mid)

	for i, value := range n.out {
		if value > n.out[digit] {
			digit = i
		}
	}
	sum := 0.0
	for _, value := range n.out {
		sum += math.Exp(float64(value - n.out[digit]))
	}
	return digit, 1 / sum
}
