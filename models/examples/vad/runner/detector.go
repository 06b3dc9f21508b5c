package main

import (
	"errors"
	"fmt"

	ort "github.com/yalue/onnxruntime_go"
)

// What the model reads at a time: a frame of samples, after the last ones of the frame before.
const (
	frameSize   = 512
	contextSize = 64
)

// A detector is the model in memory, with the state it carries from frame to frame. Close frees it.
type detector struct {
	session            *ort.AdvancedSession
	input, output      *ort.Tensor[float32]
	state, stateAfter  *ort.Tensor[float32]
	sampleRate         *ort.Scalar[int64]
	environmentStarted bool
}

// openDetector loads ONNX Runtime from a shared library and the model into it. A process can do so once.
func openDetector(library, model string) (_ *detector, err error) {
	d := &detector{}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	ort.SetSharedLibraryPath(library)
	if err := ort.InitializeEnvironment(ort.WithLogLevelError()); err != nil {
		return nil, fmt.Errorf("load ONNX Runtime %q: %w", library, err)
	}
	d.environmentStarted = true
	for _, tensor := range []struct {
		to    **ort.Tensor[float32]
		shape ort.Shape
	}{
		{&d.input, ort.NewShape(1, contextSize+frameSize)},
		{&d.output, ort.NewShape(1, 1)},
		{&d.state, ort.NewShape(2, 1, 128)},
		{&d.stateAfter, ort.NewShape(2, 1, 128)},
	} {
		if *tensor.to, err = ort.NewEmptyTensor[float32](tensor.shape); err != nil {
			return nil, fmt.Errorf("make tensor %v: %w", tensor.shape, err)
		}
	}
	if d.sampleRate, err = ort.NewScalar[int64](rate); err != nil {
		return nil, fmt.Errorf("make sample rate: %w", err)
	}
	if err := d.openSession(model); err != nil {
		return nil, fmt.Errorf("load model %q: %w", model, err)
	}
	return d, nil
}

// openSession loads the model for one thread: frames depend on each other, and one takes well under a millisecond.
func (d *detector) openSession(model string) (err error) {
	options, err := ort.NewSessionOptions()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, options.Destroy()) }()
	if err := options.SetIntraOpNumThreads(1); err != nil {
		return err
	}
	if err := options.SetInterOpNumThreads(1); err != nil {
		return err
	}
	d.session, err = ort.NewAdvancedSession(model,
		[]string{"input", "state", "sr"}, []string{"output", "stateN"},
		[]ort.Value{d.input, d.state, d.sampleRate}, []ort.Value{d.output, d.stateAfter}, options)
	return err
}

// speech returns the probability that a frame, which follows the one of the last call, is speech.
func (d *detector) speech(frame *[frameSize]int16) (float32, error) {
	input := d.input.GetData()
	copy(input, input[frameSize:])
	for i, sample := range frame {
		input[contextSize+i] = float32(sample) / 32768
	}
	if err := d.session.Run(); err != nil {
		return 0, fmt.Errorf("run model: %w", err)
	}
	copy(d.state.GetData(), d.stateAfter.GetData())
	return d.output.GetData()[0], nil
}

// Close frees what the detector holds, and the environment.
func (d *detector) Close() error {
	var errs []error
	if d.session != nil {
		errs = append(errs, d.session.Destroy())
	}
	for _, tensor := range []*ort.Tensor[float32]{d.input, d.output, d.state, d.stateAfter} {
		if tensor != nil {
			errs = append(errs, tensor.Destroy())
		}
	}
	if d.sampleRate != nil {
		errs = append(errs, d.sampleRate.Destroy())
	}
	if d.environmentStarted {
		errs = append(errs, ort.DestroyEnvironment())
	}
	return errors.Join(errs...)
}
