package models

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"testing"

	"go.yaml.in/yaml/v4"
)

func TestJSONSchemaGolden(t *testing.T) { golden(t, "schema.json", JSONSchema()) }

// TestSchemaAllowsExamples holds manifests that Parse takes against the schema, as far as this project's schema goes.
func TestSchemaAllowsExamples(t *testing.T) {
	schema := readSchema(t)
	for _, name := range []string{"design", "full"} {
		text, err := os.ReadFile("testdata/" + name + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		var value any
		if err := yaml.Unmarshal(text, &value); err != nil {
			t.Fatal(err)
		}
		for _, wrong := range violations(schema, value, name) {
			t.Error(wrong)
		}
	}
}

// TestSchemaRefuses shows that the schema, and the check that the test above relies on, can say no.
func TestSchemaRefuses(t *testing.T) {
	schema := readSchema(t)
	for text, want := range map[string]int{
		"{}":                                     5, // schema name version rootfs run
		minimal("x: y"):                          1,
		minimal("network: bridge"):               1,
		minimal("resources: {memory: 12Q}"):      1,
		minimal("resources: {memory: 0}"):        1,
		minimal("resources: {pids: 0}"):          1,
		minimal("files: {/a: {}}"):               1,
		minimal("golden: [{input: x}]"):          1,
		minimal("loosen: {root_user: 1}"):        1,
		minimal("files: {/a: {source: [x]}}"):    1,
		minimal("golden: {input: x, match: y}"):  1,
		minimal("loosen: {capabilities: [SYS]}"): 1,
	} {
		var value any
		if err := yaml.Unmarshal([]byte(text), &value); err != nil {
			t.Fatal(err)
		}
		if wrong := violations(schema, value, "manifest"); len(wrong) != want {
			t.Errorf("%s: got %q, want %d", text, wrong, want)
		}
	}
}

func readSchema(t *testing.T) map[string]any {
	t.Helper()
	var schema map[string]any
	if err := json.Unmarshal(JSONSchema(), &schema); err != nil {
		t.Fatal(err)
	}
	if schema["$schema"] != "https://json-schema.org/draft/2020-12/schema" {
		t.Errorf("$schema is %v", schema["$schema"])
	}
	return schema
}

// violations checks a value against the keywords that JSONSchema uses, and fails on others: a small validator of its own,
// so that what the schema promises is seen from outside of the table.
func violations(schema map[string]any, value any, path string) []string {
	var wrong []string
	say := func(format string, args ...any) { wrong = append(wrong, path+": "+fmt.Sprintf(format, args...)) }
	if types := schema["type"]; !hasType(types, value) {
		say("%v is not %v", value, types)
		return wrong
	}
	object, _ := value.(map[string]any)
	text, isText := value.(string)
	for keyword, rule := range schema {
		switch keyword {
		case "$schema", "$id", "title", "description", "default", "type", "prefixItems":
		case "properties":
			for key, v := range object {
				if property, ok := rule.(map[string]any)[key].(map[string]any); ok {
					wrong = append(wrong, violations(property, v, path+"."+key)...)
				}
			}
		case "additionalProperties":
			for key, v := range object {
				if properties, _ := schema["properties"].(map[string]any); properties[key] != nil {
					continue
				}
				if rule == false {
					say("unknown key %q", key)
				} else {
					wrong = append(wrong, violations(rule.(map[string]any), v, path+"."+key)...)
				}
			}
		case "required":
			for _, key := range rule.([]any) {
				if _, ok := object[key.(string)]; !ok {
					say("no %q", key)
				}
			}
		case "items":
			for i, v := range value.([]any) {
				wrong = append(wrong, violations(rule.(map[string]any), v, fmt.Sprintf("%s[%d]", path, i))...)
			}
		case "minItems":
			if float64(len(value.([]any))) < rule.(float64) {
				say("too short")
			}
		case "enum":
			if !slices.Contains(rule.([]any), value) {
				say("%v is none of %v", value, rule)
			}
		case "pattern":
			if isText && !regexp.MustCompile(rule.(string)).MatchString(text) {
				say("%q does not match %s", text, rule)
			}
		case "minimum":
			if n, ok := value.(int); ok && float64(n) < rule.(float64) {
				say("%d is below %v", n, rule)
			}
		case "exclusiveMinimum":
			if n, ok := value.(int); ok && float64(n) <= rule.(float64) {
				say("%d is not above %v", n, rule)
			}
		case "allOf":
			for _, choice := range rule.([]any) {
				for kind, each := range choice.(map[string]any) {
					n := 0
					for _, one := range each.([]any) {
						if _, ok := object[one.(map[string]any)["required"].([]any)[0].(string)]; ok {
							n++
						}
					}
					if n == 0 || kind == "oneOf" && n > 1 {
						say("%d of %v", n, each)
					}
				}
			}
		default:
			say("the schema's keyword %q is not known to this test", keyword)
		}
	}
	return wrong
}

func hasType(types, value any) bool {
	if many, ok := types.([]any); ok {
		return slices.ContainsFunc(many, func(one any) bool { return hasType(one, value) })
	}
	switch value.(type) {
	case map[string]any:
		return types == "object"
	case []any:
		return types == "array"
	case string:
		return types == "string"
	case bool:
		return types == "boolean"
	case int:
		return types == "integer" || types == "number"
	case float64:
		return types == "number"
	}
	return false
}
