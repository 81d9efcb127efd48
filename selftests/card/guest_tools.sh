# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154 # variables of guest.sh
# The guest's part of tools_test.py: each stage of guest_tools.py when the host says so.
export FIXAR first second
cd /tmp || exit 1
while true; do
	pause tools
	[ "$said" = end ] && break
	case $said in
	vfio)
		modprobe vfio-pci || give_up "modprobe vfio-pci"
		echo vfio-pci >/sys/bus/pci/devices/$second/driver_override
		echo $second >/sys/bus/pci/drivers_probe
		[ -e /sys/bus/pci/drivers/vfio-pci/$second ] || give_up "vfio-pci does not take the card"
		;;
	unbind) echo $second >/sys/bus/pci/drivers/fixar/unbind || give_up "unbind" ;;
	bind)
		echo $second >/sys/bus/pci/drivers/fixar/bind || give_up "bind"
		for _ in $(seq 300); do
			compgen -G "/sys/bus/pci/devices/$second/accel/accel*" >/dev/null && break
			compgen -G "/sys/bus/pci/devices/$second/drm/renderD*" >/dev/null && break
			sleep 0.1
		done
		;;
	cost*)
		card=${said#cost }
		# What the watchdog reads is not a submission's.
		echo 60000 >/sys/module/fixar/parameters/period_ms
		PYTHONDONTWRITEBYTECODE=1 python3 "$(dirname "$0")/guest_cost.py" "${!card}"
		echo 2000 >/sys/module/fixar/parameters/period_ms
		;;
	rmmod) rmmod fixar || give_up "rmmod" ;;
	*) PYTHONDONTWRITEBYTECODE=1 python3 "$(dirname "$0")/guest_tools.py" $said ;;
	esac
	echo "DONE $said"
done
