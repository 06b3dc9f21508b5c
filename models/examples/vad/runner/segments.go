package main

// The rules that make segments of probabilities, which are the model's authors' own defaults except that none is padded.
const (
	speechFrom = 0.5  // a segment begins at a frame with this probability of speech
	speechTo   = 0.35 // and may end at one below this
	minSilence = 4    // frames of silence that end a segment: 128 ms
	minSpeech  = 8    // frames of the shortest segment: 256 ms
)

// A segment is a stretch of speech, in frames: from the first up to the one that is no longer speech.
type segment struct{ start, end int }

// findSegments returns the stretches of speech in the probabilities of successive frames, in order.
func findSegments(probabilities []float32) []segment {
	var found []segment
	start, silent := -1, -1 // the open segment, and the first frame of the silence in it
	finish := func(end int) {
		if end-start >= minSpeech {
			found = append(found, segment{start, end})
		}
		start, silent = -1, -1
	}
	for i, p := range probabilities {
		switch {
		case p >= speechFrom:
			if start < 0 {
				start = i
			}
			silent = -1
		case start >= 0 && p < speechTo && silent < 0:
			silent = i
		}
		if silent >= 0 && i+1-silent >= minSilence {
			finish(silent)
		}
	}
	if start >= 0 {
		end := len(probabilities)
		if silent >= 0 {
			end = silent
		}
		finish(end)
	}
	return found
}
