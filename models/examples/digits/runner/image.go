package main

import "fmt"

// white is the largest value of a pixel; 0 is black.
const white = 16

// parseImage reads an image from a line: 64 whole numbers from 0 to 16, row by row, with spaces or tabs between them.
func parseImage(line []byte) (image [pixels]uint8, err error) {
	count := 0
	for i := 0; i < len(line); {
		if isSpace(line[i]) {
			i++
			continue
		}
		start, value := i, 0
		for ; i < len(line) && !isSpace(line[i]); i++ {
			digit := line[i] - '0'
			if digit > 9 || value > white {
				return image, fmt.Errorf("number %d is %.20q: want a whole number from 0 to %d", count+1, line[start:], white)
			}
			value = value*10 + int(digit)
		}
		if value > white {
			return image, fmt.Errorf("number %d is %q: want a whole number from 0 to %d", count+1, line[start:i], white)
		}
		if count < pixels {
			image[count] = uint8(value)
		}
		count++
	}
	if count != pixels {
		return image, fmt.Errorf("%d numbers: want %d, 8 rows of 8", count, pixels)
	}
	return image, nil
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' }
