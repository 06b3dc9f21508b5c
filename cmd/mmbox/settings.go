package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"mmbox/models/strict"
	"mmbox/runtime"
)

// defaultConfig is the configuration file, where it exists and nobody names another.
const defaultConfig = "/etc/mmbox/config.yaml"

// errSettings says that the configuration file has something wrong in it.
var errSettings = errors.New("read settings")

// An option is one setting. Its value comes from the flag, else the environment, else the file, else the default.
type option struct {
	name, env, standard, help string
}

var options = []option{
	{"root", "MMBOX_ROOT", "/var/lib/mmbox", "keep installed models in `DIR`"},
	{"state", "MMBOX_STATE", runtime.DefaultDir, "keep the sandboxes' state in `DIR`"},
	{"logs", "MMBOX_LOGS", "/var/log/mmbox", "keep the output of detached sandboxes in `DIR`"},
	{"format", "MMBOX_FORMAT", "table", "print results as `FORMAT`: table or json"},
}

// A setting is an option's value and where it came from.
type setting struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Origin string `json:"origin"`
}

type settings struct {
	root, state, logs string
	json, debug       bool
	all               []setting
}

func globalFlags() []cli.Flag {
	flags := []cli.Flag{&cli.StringFlag{Name: "config", Usage: "read settings from `FILE` (default: " + defaultConfig + ")"}}
	for _, o := range options {
		flags = append(flags, &cli.StringFlag{Name: o.name, Usage: fmt.Sprintf("%s (default: %s, or $%s)", o.help, o.standard, o.env)})
	}
	return append(flags, &cli.BoolFlag{Name: "debug", Usage: "say on standard error what the libraries do"})
}

func readSettings(c *cli.Context) (settings, error) {
	s := settings{debug: c.Bool("debug")}
	path, file, err := readConfig(c.String("config"))
	if err != nil {
		return s, err
	}
	value := map[string]string{}
	for _, o := range options {
		set := o.choose(c, path, file)
		value[o.name] = set.Value
		s.all = append(s.all, set)
	}
	switch value["format"] {
	case "json":
		s.json = true
	case "table":
	default:
		return s, &usage{fmt.Sprintf("format %q: write table or json", value["format"])}
	}
	for name, to := range map[string]*string{"root": &s.root, "state": &s.state, "logs": &s.logs} {
		if *to, err = filepath.Abs(value[name]); err != nil {
			return s, fmt.Errorf("setting %s: %w", name, err)
		}
	}
	return s, nil
}

// asksForJSON tells whether a command line asks for JSON, before its settings are read: to say in JSON too that they
// cannot be.
func asksForJSON(args []string) bool {
	for i, word := range args {
		switch name, value, inline := strings.Cut(strings.TrimLeft(word, "-"), "="); {
		case word == "--":
			return os.Getenv("MMBOX_FORMAT") == "json"
		case !isFlag(word) || name != "format":
		case inline:
			return value == "json"
		case i+1 < len(args):
			return args[i+1] == "json"
		}
	}
	return os.Getenv("MMBOX_FORMAT") == "json"
}

func (o option) choose(c *cli.Context, path string, file map[string]any) setting {
	if c.IsSet(o.name) {
		return setting{o.name, c.String(o.name), "--" + o.name}
	}
	if v := os.Getenv(o.env); v != "" {
		return setting{o.name, v, "$" + o.env}
	}
	if v, ok := file[o.name].(string); ok {
		return setting{o.name, v, path}
	}
	return setting{o.name, o.standard, "default"}
}

// readConfig reads the configuration file. One that a person named must exist.
func readConfig(named string) (path string, values map[string]any, err error) {
	path = named
	if path == "" {
		path = defaultConfig
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && named == "" {
		return path, nil, nil
	}
	if err != nil {
		return path, nil, fmt.Errorf("read settings: %w", err)
	}
	shape := configShape()
	for i := range shape.Fields {
		shape.Fields[i].Default = "" // what the file leaves out does not come from it
	}
	value, err := strict.Decode(path, text, shape)
	if err != nil {
		return path, nil, fmt.Errorf("%w: %w", errSettings, err)
	}
	values, _ = value.(map[string]any)
	return path, values, nil
}

func configShape() *strict.Shape {
	shape := &strict.Shape{Kind: strict.Object, Doc: "Settings of mmbox"}
	for _, o := range options {
		shape.Fields = append(shape.Fields, strict.Field{
			Key: o.name, Default: o.standard,
			Shape: &strict.Shape{Kind: strict.Text, Doc: o.help, Example: o.standard},
		})
	}
	return shape
}
