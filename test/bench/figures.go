package main

import (
	"math"
	"slices"
	"time"
)

// A series is what was measured of one contender in one mode.
type series struct {
	Contender string             `json:"contender"`
	Mode      string             `json:"mode"`
	Filter    bool               `json:"filter"`
	Samples   int                `json:"samples"`
	MedianMS  float64            `json:"median_ms"`
	P99MS     float64            `json:"p99_ms"`
	LeastMS   float64            `json:"least_ms"`
	CPUMS     float64            `json:"cpu_ms"` // median
	Ratio     map[string]float64 `json:"ratio"`  // of the median to that of another contender in the same rounds
}

// calls are the system calls of one start.
type calls struct {
	Contender string `json:"contender"`
	Filter    bool   `json:"filter"`
	Calls     int    `json:"calls"`
}

// A budget is a ratio that our starts are held against.
type budget struct {
	Against string  `json:"against"`
	Mode    string  `json:"mode"`
	Most    float64 `json:"most"`
	Ratio   float64 `json:"ratio"`
	Met     bool    `json:"met"`
}

// most are the budgets of the design.
var most = []budget{{Against: runcNew, Most: 0.6}, {Against: crun, Most: 1.0}}

// budgets holds our series with filter against them. A contender that was left out has none.
func budgets(all []series) []budget {
	var list []budget
	for _, b := range most {
		for _, s := range all {
			ratio, measured := s.Ratio[b.Against]
			if s.Contender != ours || !s.Filter || !measured {
				continue
			}
			b.Mode, b.Ratio, b.Met = s.Mode, ratio, ratio <= b.Most
			list = append(list, b)
		}
	}
	return list
}

func summarize(name, mode string, filter bool, samples []sample) series {
	var wall, cpu []time.Duration
	for _, s := range samples {
		wall, cpu = append(wall, s.wall), append(cpu, s.cpu)
	}
	return series{
		Contender: name, Mode: mode, Filter: filter, Samples: len(samples),
		MedianMS: ms(median(wall)), P99MS: ms(quantile(wall, 0.99)), LeastMS: ms(slices.Min(wall)), CPUMS: ms(median(cpu)),
	}
}

// relate fills in the ratios to crun and to runc.
func relate(all []series) {
	for i := range all {
		all[i].Ratio = map[string]float64{}
		for _, other := range all {
			if (other.Contender == crun || other.Contender == runcNew) && other.Mode == all[i].Mode && other.Filter == all[i].Filter {
				all[i].Ratio[other.Contender] = all[i].MedianMS / other.MedianMS
			}
		}
	}
}

func median(d []time.Duration) time.Duration { return quantile(d, 0.5) }

// quantile is the smallest of the samples that at least the share q is not above.
func quantile(d []time.Duration, q float64) time.Duration {
	sorted := slices.Sorted(slices.Values(d))
	return sorted[max(0, int(math.Ceil(q*float64(len(sorted))))-1)]
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
