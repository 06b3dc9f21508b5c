package strict

import (
	"encoding/json"
	"fmt"
)

// A schema is a JSON Schema; encoding/json sorts its keys.
type schema map[string]any

// JSONSchema gives the shape as a JSON Schema, draft 2020-12. It says less than Decode checks (a schema cannot hold one
// value against another) and nothing that Decode would not accept.
func JSONSchema(id, title string, s *Shape) ([]byte, error) {
	root := s.schema()
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["$id"] = id
	root["title"] = title
	text, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("make JSON Schema %q: %w", id, err)
	}
	return append(text, '\n'), nil
}

func (s *Shape) schema() schema {
	out := schema{}
	if s.Doc != "" {
		out["description"] = s.Doc
	}
	switch s.Kind {
	case Object:
		s.objectSchema(out)
	case Dict:
		out["type"] = "object"
		out["additionalProperties"] = s.Elem.schema()
	case List:
		out["type"] = "array"
		out["items"] = s.Elem.schema()
		if s.First != nil {
			out["prefixItems"] = []schema{s.First.schema()}
		}
		if s.Least > 0 {
			out["minItems"] = s.Least
		}
	case Text:
		out["type"] = "string"
	case Flag:
		out["type"] = "boolean"
	case Count:
		out["type"] = "integer"
		out["minimum"] = s.Minimum
	case Quantity:
		out["type"] = []string{"string", "number"}
		out["exclusiveMinimum"] = 0
	}
	if s.Pattern != "" {
		out["pattern"] = s.Pattern
	}
	if len(s.OneOf) > 0 {
		out["enum"] = s.OneOf
	}
	return out
}

func (s *Shape) objectSchema(out schema) {
	properties := schema{}
	var required []string
	for _, f := range s.Fields {
		property := f.Shape.schema()
		if f.Default != "" {
			property["default"] = f.Default
			if f.Shape.Kind == Object || f.Shape.Kind == Count {
				property["default"] = json.RawMessage(f.Default)
			}
		}
		properties[f.Key] = property
		if f.Required {
			required = append(required, f.Key)
		}
	}
	out["type"] = "object"
	out["properties"] = properties
	out["additionalProperties"] = false
	if required != nil {
		out["required"] = required
	}
	var all []schema
	for _, c := range s.Choices {
		var each []schema
		for _, key := range c.Keys {
			each = append(each, schema{"required": []string{key}})
		}
		word := "oneOf"
		if c.Several {
			word = "anyOf"
		}
		all = append(all, schema{word: each})
	}
	if all != nil {
		out["allOf"] = all
	}
}
