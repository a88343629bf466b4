// A small synthesiser for the browser.

import { AudioGraph } from "./graph";

const SEMITONE = 2 ** (1 / 12);

export function frequencyOf(note: number): number {
  // concert pitch: A4 is note 69
  return 440 * SEMITONE ** (note - 69);
}

export class Oscillator {
  private phase = 0;

  constructor(private readonly graph: AudioGraph, private detune: number) {}

  render(samples: Float32Array, pitch: number): void {
    const step = (2 * Math.PI * pitch * (1 + this.detune)) / this.graph.sampleRate;
    for (let index = 0; index < samples.length; index++) {
      samples[index] = Math.sin(this.phase);
      this.phase += step;
    }
  }
}

export function envelope(attack: number, decay: number, at: number): number {
  if (at < attack) return at / attack;
  return Math.exp(-(at - attack) / decay);
}

export function quantise(beats: number[], grid: number): number[] {
  if (grid <= 0) throw new RangeError("the grid must have a positive width");
  return beats.map((beat) => Math.round(beat / grid) * grid);
}
