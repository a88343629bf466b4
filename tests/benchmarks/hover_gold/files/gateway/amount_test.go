package gateway

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

func TestParseAmount(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		in      string
		want    int64
		wantErr bool
	}{
		"whole euros":     {in: "12", want: 1200},
		"with cents":      {in: "12.34", want: 1234},
		"too many digits": {in: "1.234", wantErr: true},
	}
	// each case is a subtest, so one alone can be run by name
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := ParseAmount(tc.in)
			if (err != nil) != tc.wantErr {
				t.Fatalf("err = %v, wantErr = %t", err, tc.wantErr)
			}
			if got != tc.want {
				t.Errorf("got %d, want %d", got, tc.want)
			}
		})
	}
}
