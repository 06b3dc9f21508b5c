package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

func chunk(name string, size uint32, content ...byte) []byte {
	return append(binary.LittleEndian.AppendUint32([]byte(name), size), content...)
}

// format returns a fmt chunk of 16 bytes.
func format(tag, channels uint16, rate uint32, bits uint16) []byte {
	c := binary.LittleEndian.AppendUint16(chunk("fmt ", 16), tag)
	c = binary.LittleEndian.AppendUint16(c, channels)
	c = binary.LittleEndian.AppendUint32(c, rate)
	c = binary.LittleEndian.AppendUint32(c, rate*uint32(channels)*uint32(bits)/8)
	c = binary.LittleEndian.AppendUint16(c, channels*bits/8)
	return binary.LittleEndian.AppendUint16(c, bits)
}

func wav(chunks ...[]byte) []byte {
	return append([]byte("RIFF\xff\xff\xff\xffWAVE"), bytes.Join(chunks, nil)...)
}

func TestOpenWAV(t *testing.T) {
	good := format(1, 1, 16000, 16)
	for _, test := range []struct {
		name string
		in   []byte
		want string
		err  string
	}{
		{"plain", wav(good, chunk("data", 4, 1, 2, 3, 4)), "\x01\x02\x03\x04", ""},
		{"more after the audio", wav(good, chunk("data", 2, 1, 2), chunk("LIST", 1, 9)), "\x01\x02", ""},
		{"other chunks, one of odd size", wav(chunk("LIST", 3, 9, 9, 9, 0), good, chunk("data", 2, 1, 2)), "\x01\x02", ""},
		{"unknown length", wav(good, chunk("data", 0xffffffff, 1, 2, 3)), "\x01\x02\x03", ""},
		{"no samples", wav(good, chunk("data", 0)), "", ""},
		{"empty file", nil, "", "not a WAV file"},
		{"another file", []byte("\x89PNG\r\n\x1a\n, and so on"), "", "not a WAV file"},
		{"44.1 kHz stereo", wav(format(1, 2, 44100, 16)), "", "44100 Hz, 2 channels, 16 bits, encoding 1: want 16000 Hz"},
		{"float", wav(format(3, 1, 16000, 32)), "", "32 bits, encoding 3"},
		{"short format", wav(chunk("fmt ", 2, 1, 0)), "", "format of 2 bytes"},
		{"audio before format", wav(chunk("data", 0), good), "", "before its format"},
		{"no audio", wav(good), "", "no audio in the file"},
		{"chunk cut off", wav(chunk("LIST", 100, 1)), "", `chunk "LIST": unexpected EOF`},
		{"audio cut off", wav(good, chunk("data", 4, 1, 2)), "", "cut off, 2 bytes before its end"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got []byte
			r, err := openWAV(iotest.OneByteReader(bytes.NewReader(test.in)))
			if err == nil {
				got, err = io.ReadAll(r)
			}
			if test.err == "" && (err != nil || string(got) != test.want) {
				t.Errorf("got %q, error %v: want %q", got, err, test.want)
			}
			if test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)) {
				t.Errorf("error %v: want %q", err, test.err)
			}
		})
	}
}

func TestFailingInputIsNoFormatError(t *testing.T) {
	broken := errors.New("broken pipe")
	if _, err := openWAV(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("error %v: want %v", err, broken)
	}
}

func TestEachFrame(t *testing.T) {
	in := bytes.Repeat([]byte{0xff, 0xff}, frameSize+1)
	var first, last []int16
	err := eachFrame(bytes.NewReader(in), func(frame *[frameSize]int16) error {
		first, last = append(first, frame[0]), append(last, frame[frameSize-1])
		return nil
	})
	if err != nil || !slices.Equal(first, []int16{-1, -1}) || !slices.Equal(last, []int16{-1, 0}) {
		t.Errorf("frames begin %v and end %v, error %v: want two, the second filled up with 0", first, last, err)
	}
	cut := &exactReader{bytes.NewReader(in), int64(len(in) + 1)}
	if err := eachFrame(cut, func(*[frameSize]int16) error { return nil }); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("audio cut off: error %v", err)
	}
}

// Each letter is a frame: S speech, s between the two thresholds, - silence.
func TestFindSegments(t *testing.T) {
	for in, want := range map[string][]segment{
		"":                          nil,
		"------------":              nil,
		"ssssssssssss":              nil,
		"SSSSSSSS":                  {{0, 8}},
		"SSSSSSS":                   nil,
		"--SSSSSSSS----":            {{2, 10}},
		"--SSSSSSSS--":              {{2, 10}},
		"SSSS---SSSS":               {{0, 11}},
		"SSSS----SSSS":              nil,
		"SSSSSSSS----SSSSSSSS":      {{0, 8}, {12, 20}},
		"SSSSSSSSssss----":          {{0, 12}},
		"SSSSSSSS--ss----SSSSSSSSS": {{0, 8}, {16, 25}},
	} {
		var probabilities []float32
		for _, c := range in {
			probabilities = append(probabilities, map[rune]float32{'S': 0.9, 's': 0.4, '-': 0.1}[c])
		}
		if got := findSegments(probabilities); !slices.Equal(got, want) {
			t.Errorf("%s: %v: want %v", in, got, want)
		}
	}
}

func TestMissingLibrary(t *testing.T) {
	recording, err := os.Open("../speech.wav")
	if err != nil {
		t.Fatal(err)
	}
	defer recording.Close()
	err = run("/nowhere/libonnxruntime.so", "/nowhere/model.onnx", recording, io.Discard)
	if err == nil || !strings.Contains(err.Error(), `load ONNX Runtime "/nowhere/libonnxruntime.so"`) {
		t.Errorf("error %v", err)
	}
}

func FuzzOpenWAV(f *testing.F) {
	f.Add(wav(format(1, 1, 16000, 16), chunk("data", 4, 1, 2, 3, 4)))
	f.Add(wav(chunk("LIST", 0xffffffff, 1)))
	f.Fuzz(func(t *testing.T, in []byte) {
		r, err := openWAV(bytes.NewReader(in))
		if err != nil {
			return
		}
		if n, _ := io.Copy(io.Discard, r); n > int64(len(in)) {
			t.Errorf("%d bytes of audio in %d", n, len(in))
		}
	})
}
