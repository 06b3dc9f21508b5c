package runtime

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"mmbox/cgroups"
	"mmbox/isolation"
	"mmbox/seccomp"
)

// A sandbox in the foreground is launched from the specification in memory, one in the background from its file: both
// must mean the same.
func TestSpecificationSurvivesItsFile(t *testing.T) {
	policies := map[string]isolation.Policy{
		"strict":  {},
		"loose":   isolation.Policy{}.WithHostNetwork().WithHostUsers().WithRootUser().WithNewPrivileges().WithoutSeccomp().WithoutLimit("cpu"),
		"capable": isolation.Policy{}.WithCapability("CAP_CHOWN"),
	}
	for name, policy := range policies {
		made := policy.Spec(isolation.Surroundings{
			Hostname: "a", Root: "/root", Users: isolation.FirstRange(), Cgroup: "/mmbox/a",
			Limits: cgroups.Limits{CPU: 1000, Memory: 1 << 20, PIDs: 4}, Tmp: 1 << 20,
			Process: isolation.Process{Args: []string{"/true"}, Env: map[string]string{"A": "b"}},
			Filter:  seccomp.Default().Spec(), Labels: map[string]string{"l": "m"},
		})
		text, err := json.Marshal(made)
		if err != nil {
			t.Fatal(err)
		}
		var read specs.Spec
		if err := json.Unmarshal(text, &read); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(made, &read) {
			t.Errorf("%s: made\n%+v\nread\n%+v", name, made, &read)
		}
	}
}
