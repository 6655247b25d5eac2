package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

// provisionerName is what the default StorageClass asks for.
const provisionerName = "breakwater.dev/local"

// newCaretakerCommand makes the process that looks after a cluster while nobody watches: it gives
// claims of the default StorageClass their volumes, and keeps the services' logs from filling the
// disk.
func newCaretakerCommand() *cobra.Command {
	var kubeconfig, volumes, logs string
	var logBytesMax int64
	command := &cobra.Command{
		Use: "caretaker",
		RunE: func(*cobra.Command, []string) error {
			ctx := genericapiserver.SetupSignalContext()
			config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
			if err != nil {
				return err
			}
			config.QPS, config.Burst = 100, 200
			client, err := kubernetes.NewForConfig(config)
			if err != nil {
				return err
			}
			go wait.UntilWithContext(ctx, func(context.Context) { trim(logs, logBytesMax) }, 15*time.Second)
			controller.NewProvisionController(
				ctx, client, provisionerName, &localVolumes{root: volumes},
				controller.LeaderElection(false), controller.MetricsPort(0),
			).Run(ctx)
			return nil
		},
	}
	flags := command.Flags()
	flags.StringVar(&kubeconfig, "kubeconfig", "", "how to reach the API server")
	flags.StringVar(&volumes, "volumes", "", "folder for the volumes")
	flags.StringVar(&logs, "logs", "", "folder of the logs to keep short")
	flags.Int64Var(&logBytesMax, "log-bytes-max", 0, "largest size of a log")
	return command
}

// localVolumes makes volumes of the kind "local": folders of the node. Unlike those of the kind
// "hostPath", the kubelet sets their group to a pod's fsGroup.
type localVolumes struct {
	root string
}

// Provision makes a folder and the volume that stands for it. The requested capacity is recorded,
// not enforced.
func (l *localVolumes) Provision(_ context.Context, options controller.ProvisionOptions) (*v1.PersistentVolume, controller.ProvisioningState, error) {
	path := filepath.Join(l.root, options.PVName)
	if err := os.MkdirAll(path, 0o777); err != nil {
		return nil, controller.ProvisioningFinished, err
	}
	// Pods run as whatever user they like; the umask must not decide who may write.
	if err := os.Chmod(path, 0o777); err != nil {
		return nil, controller.ProvisioningFinished, err
	}
	volume := &v1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: options.PVName},
		Spec: v1.PersistentVolumeSpec{
			PersistentVolumeReclaimPolicy: *options.StorageClass.ReclaimPolicy,
			AccessModes:                   options.PVC.Spec.AccessModes,
			VolumeMode:                    options.PVC.Spec.VolumeMode,
			Capacity:                      v1.ResourceList{v1.ResourceStorage: options.PVC.Spec.Resources.Requests[v1.ResourceStorage]},
			PersistentVolumeSource:        v1.PersistentVolumeSource{Local: &v1.LocalVolumeSource{Path: path}},
			NodeAffinity:                  affinity(options.SelectedNodeName),
		},
	}
	return volume, controller.ProvisioningFinished, nil
}

// Delete removes the folder with everything in it.
func (l *localVolumes) Delete(_ context.Context, volume *v1.PersistentVolume) error {
	if volume.Spec.Local == nil || filepath.Dir(volume.Spec.Local.Path) != l.root {
		return &controller.IgnoredError{Reason: fmt.Sprintf("%s is no folder of %s", volume.Name, l.root)}
	}
	return os.RemoveAll(volume.Spec.Local.Path)
}

// affinity ties a volume to the node its pod was scheduled to, whose name is its host name here;
// without one, every node will do, since all of them are this machine.
func affinity(node string) *v1.VolumeNodeAffinity {
	requirement := v1.NodeSelectorRequirement{Key: v1.LabelHostname, Operator: v1.NodeSelectorOpExists}
	if node != "" {
		requirement.Operator, requirement.Values = v1.NodeSelectorOpIn, []string{node}
	}
	term := v1.NodeSelectorTerm{MatchExpressions: []v1.NodeSelectorRequirement{requirement}}
	return &v1.VolumeNodeAffinity{Required: &v1.NodeSelector{NodeSelectorTerms: []v1.NodeSelectorTerm{term}}}
}

// trim sets aside the content of each log that has grown too long. The services keep their logs
// open for appending, so a log is emptied, never replaced.
func trim(folder string, bytesMax int64) {
	logs, _ := filepath.Glob(filepath.Join(folder, "*.log"))
	for _, path := range logs {
		if info, err := os.Stat(path); err != nil || info.Size() <= bytesMax {
			continue
		}
		if err := setAside(path); err != nil {
			klog.ErrorS(err, "Cannot shorten a log", "path", path)
		}
	}
}

func setAside(path string) error {
	source, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.Create(path + ".old")
	if err != nil {
		return err
	}
	defer target.Close()
	if _, err := io.Copy(target, source); err != nil {
		return err
	}
	return source.Truncate(0)
}
