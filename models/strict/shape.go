// Package strict reads YAML by a table that says what every value is, and makes a JSON Schema of the same table, so that
// the two cannot drift. It takes one document, plain values and known keys; all that is wrong is reported at once, each
// with its line, its column and what to write.
//
// Not for YAML in general: anchors, aliases, merge keys and tags are refused, since with them a text means what it does
// not show.
package strict

// A Kind is what a value is. Its text finishes "write …".
type Kind string

// The kinds of values.
const (
	Object   Kind = "a mapping" // with known keys
	Dict     Kind = "a mapping of names to values"
	List     Kind = "a list"
	Text     Kind = "a text"
	Flag     Kind = "true or false"
	Count    Kind = "a whole number"
	Quantity Kind = "a number with a suffix"
)

// A Shape describes one value. Which fields count depends on its kind.
type Shape struct {
	Kind    Kind
	Doc     string
	Example string // what to write, in a message
	Noun    string // names a text in messages

	Fields  []Field  // of an object
	Choices []Choice // of an object
	Check   Check    // of an object or a dict: holds values against each other

	Elem  *Shape             // of a list or a dict
	First *Shape             // of a list whose first element differs
	Least int                // elements of a list
	Keys  func(string) error // of a dict: checks a key

	OneOf   []string                  // of a text: all that are allowed
	Valid   func(string) error        // of a text
	Pattern string                    // of a text or quantity, for the JSON Schema: what is allowed, or more
	Parse   func(string) (any, error) // of a count or quantity: reads the text as it stands in the file
	Minimum int64                     // of a count, for the JSON Schema
}

// A Check sees the values of a mapping that were right and reports what is wrong with them together, at a key.
type Check func(values map[string]any, report func(key, format string, args ...any))

// A Field is a key of an object.
type Field struct {
	Key      string
	Shape    *Shape
	Required bool
	Default  string // what an absent key means, as it would be written; of an object only {}, its fields' own defaults
}

// A Choice is a set of keys of which exactly one is set, or with Several at least one.
type Choice struct {
	Keys    []string
	Several bool
}

func (c Choice) rule() string {
	if c.Several {
		return "at least one"
	}
	return "exactly one"
}

func (s *Shape) element(i int) *Shape {
	if i == 0 && s.First != nil {
		return s.First
	}
	return s.Elem
}

// sample is what a message shows as a right value.
func (s *Shape) sample() string {
	switch {
	case s.Example != "":
		return s.Example
	case len(s.OneOf) > 0:
		return s.OneOf[0]
	case s.Kind == Flag:
		return "true"
	case s.Kind == List:
		return "[" + s.Elem.sample() + "]"
	}
	return `"` + string(s.Kind) + `"`
}
