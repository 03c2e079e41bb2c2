/** Changes of the stream's state that travel with its next commit, so that they become durable with what they describe. */
export class StateChanges {
  #changes: Record<string, string | null> = {};
  #any = false;

  get any(): boolean {
    return this.#any;
  }

  set(name: string, value: string | null): void {
    this.#changes[name] = value;
    this.#any = true;
  }

  /** What has been set since the last call; undefined when nothing was. */
  take(): Record<string, string | null> | undefined {
    if (!this.#any) return undefined;
    const changes = this.#changes;
    this.#changes = {};
    this.#any = false;
    return changes;
  }
}
