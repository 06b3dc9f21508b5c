package cgroups

import "encoding/json"

// show prints figures with what their pointers point to.
func show(s Stats) string {
	text, err := json.Marshal(s)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
