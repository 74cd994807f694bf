/** The whole system over simulated disks with power loss: one of four parts of the seeds (seeds.ts). */
import { testSeeds } from './seeds.ts';

testSeeds(0, 4);
