// Prints what npm would install of a project on each platform: node ideal_tree.js ARBORIST PROJECT [[OS, CPU, LIBC]...]
const [arborist, path, platforms] = process.argv.slice(2)
const Arborist = require(arborist)

const locations = async ([os, cpu, libc]) => {
  const options = { path, os, cpu, libc: libc || undefined, offline: true, ignoreScripts: true }
  const tree = await new Arborist(options).buildIdealTree({})
  return [...tree.inventory.values()].filter(node => node.inert !== true).map(node => node.location)
}

Promise.all(JSON.parse(platforms).map(locations)).then(found => console.log(JSON.stringify(found)))
